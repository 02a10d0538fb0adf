// SPDX-License-Identifier: Apache-2.0
// Merging by content: mappings, functions and locations that say the same become
// one, samples with the same stack and labels add up.
#include "collector-client/pprof/profile_merger.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector-client/pprof/counters.h"
#include "collector-client/pprof/string_table.h"
#include "collector-client/pprof/validate.h"

namespace siprof::client {

using perftools::profiles::Profile;

class ProfileMerger::State {
 public:
  absl::Status add(const Profile& in);
  Profile result();

 private:
  using Fields = std::vector<std::int64_t>;
  // ids of the added profile to ours, index = id - 1
  struct Renumbering {
    std::vector<std::uint64_t> mappings, functions, locations;
  };
  struct Sums {
    std::vector<std::uint64_t> locations;
    Fields labels;  // key, str, num, unit of each
    std::int64_t pid = 0;
    Fields values;
    std::uint64_t level_round = 0;  // of the added profile that set the levels
  };

  std::int64_t text(const Profile& in, std::int64_t id) {
    return strings_.add(in.string_table(static_cast<int>(id)));
  }
  absl::Status take_header(const Profile& in);
  void take_mappings(const Profile& in, Renumbering* to);
  void take_functions(const Profile& in, Renumbering* to);
  void take_locations(const Profile& in, Renumbering* to);
  void take_sample(const Profile& in, const perftools::profiles::Sample& sample, const Renumbering& to);
  void take_comments(const Profile& in);

  Profile out_;
  StringTable strings_{&out_};
  std::vector<bool> is_level_;
  std::uint64_t round_ = 0;
  std::int64_t round_start_ = 0;
  std::map<std::int64_t, std::uint64_t> last_round_;  // by pid: the last profile it was in
  absl::flat_hash_map<Fields, std::uint64_t> mappings_, functions_, locations_;
  absl::flat_hash_map<std::pair<std::vector<std::uint64_t>, Fields>, std::size_t> index_;
  std::vector<Sums> sums_;
  std::map<std::string, std::uint64_t> counters_;
  std::vector<std::string> remarks_;  // comments that aren't counters
};

absl::Status ProfileMerger::State::take_header(const Profile& in) {
  const auto same_type = [&](const auto& a, const auto& b) {
    return in.string_table(static_cast<int>(a.type())) == out_.string_table(static_cast<int>(b.type())) &&
           in.string_table(static_cast<int>(a.unit())) == out_.string_table(static_cast<int>(b.unit()));
  };
  if (round_ > 0) {
    if (!std::equal(in.sample_type().begin(), in.sample_type().end(), out_.sample_type().begin(),
                    out_.sample_type().end(), same_type)) {
      return absl::InvalidArgumentError("profiles of different sample types cannot be merged");
    }
    const std::int64_t end =
        std::max(in.time_nanos() + in.duration_nanos(), out_.time_nanos() + out_.duration_nanos());
    out_.set_time_nanos(std::min(in.time_nanos(), out_.time_nanos()));
    out_.set_duration_nanos(end - out_.time_nanos());
    return absl::OkStatus();
  }
  for (const auto& type : in.sample_type()) {
    auto* to = out_.add_sample_type();
    to->set_type(text(in, type.type()));
    to->set_unit(text(in, type.unit()));
    is_level_.push_back(in.string_table(static_cast<int>(type.type())).starts_with("inuse_"));
  }
  out_.mutable_period_type()->set_type(text(in, in.period_type().type()));
  out_.mutable_period_type()->set_unit(text(in, in.period_type().unit()));
  out_.set_default_sample_type(text(in, in.default_sample_type()));
  out_.set_period(in.period());
  out_.set_time_nanos(in.time_nanos());
  out_.set_duration_nanos(in.duration_nanos());
  return absl::OkStatus();
}

void ProfileMerger::State::take_mappings(const Profile& in, Renumbering* to) {
  for (const auto& m : in.mapping()) {
    const std::int64_t file = text(in, m.filename()), build = text(in, m.build_id());
    auto [entry, is_new] =
        mappings_.try_emplace(Fields{file, build, static_cast<std::int64_t>(m.memory_start()),
                                     static_cast<std::int64_t>(m.file_offset())},
                              out_.mapping_size() + 1);
    to->mappings.push_back(entry->second);
    auto* mapping = is_new ? out_.add_mapping() : out_.mutable_mapping(static_cast<int>(entry->second) - 1);
    const bool functions = mapping->has_functions() || m.has_functions();
    const bool files = mapping->has_filenames() || m.has_filenames();
    const bool lines = mapping->has_line_numbers() || m.has_line_numbers();
    const bool inlines = mapping->has_inline_frames() || m.has_inline_frames();
    *mapping = m;
    mapping->set_id(entry->second);
    mapping->set_filename(file);
    mapping->set_build_id(build);
    mapping->set_has_functions(functions);
    mapping->set_has_filenames(files);
    mapping->set_has_line_numbers(lines);
    mapping->set_has_inline_frames(inlines);
  }
}

void ProfileMerger::State::take_functions(const Profile& in, Renumbering* to) {
  for (const auto& f : in.function()) {
    const Fields fields{text(in, f.name()), text(in, f.system_name()), text(in, f.filename()),
                        f.start_line()};
    auto [entry, is_new] = functions_.try_emplace(fields, out_.function_size() + 1);
    to->functions.push_back(entry->second);
    if (!is_new) continue;
    auto* function = out_.add_function();
    function->set_id(entry->second);
    function->set_name(fields[0]);
    function->set_system_name(fields[1]);
    function->set_filename(fields[2]);
    function->set_start_line(fields[3]);
  }
}

void ProfileMerger::State::take_locations(const Profile& in, Renumbering* to) {
  for (const auto& l : in.location()) {
    perftools::profiles::Location location = l;
    location.set_mapping_id(l.mapping_id() == 0 ? 0 : to->mappings[l.mapping_id() - 1]);
    Fields fields{static_cast<std::int64_t>(location.mapping_id()), static_cast<std::int64_t>(l.address()),
                  l.is_folded()};
    for (auto& line : *location.mutable_line()) {
      line.set_function_id(to->functions[line.function_id() - 1]);
      fields.insert(fields.end(),
                    {static_cast<std::int64_t>(line.function_id()), line.line(), line.column()});
    }
    auto [entry, is_new] = locations_.try_emplace(fields, out_.location_size() + 1);
    to->locations.push_back(entry->second);
    location.set_id(entry->second);
    if (is_new) *out_.add_location() = std::move(location);
  }
}

void ProfileMerger::State::take_sample(const Profile& in, const perftools::profiles::Sample& sample,
                                       const Renumbering& to) {
  Sums sums;
  for (std::uint64_t id : sample.location_id()) sums.locations.push_back(to.locations[id - 1]);
  for (const auto& label : sample.label()) {
    if (in.string_table(static_cast<int>(label.key())) == "pid") sums.pid = label.num();
    sums.labels.insert(sums.labels.end(), {text(in, label.key()), text(in, label.str()), label.num(),
                                           text(in, label.num_unit())});
  }
  last_round_[sums.pid] = round_;
  auto [entry, is_new] = index_.try_emplace(std::pair(sums.locations, sums.labels), sums_.size());
  if (is_new) {
    sums.values.assign(is_level_.size(), 0);
    sums_.push_back(std::move(sums));
  }
  Sums& into = sums_[entry->second];
  for (int i = 0; i < sample.value_size(); ++i) {
    const bool replaces = is_level_[static_cast<std::size_t>(i)] && into.level_round != round_;
    std::int64_t& value = into.values[static_cast<std::size_t>(i)];
    value = replaces ? sample.value(i) : value + sample.value(i);
  }
  into.level_round = round_;
}

void ProfileMerger::State::take_comments(const Profile& in) {
  std::map<std::string, std::uint64_t> counters;
  for (std::int64_t id : in.comment()) {
    const std::string& comment = in.string_table(static_cast<int>(id));
    if (auto counter = parse_counter_comment(comment)) {
      counters[counter->first] = counter->second;
    } else if (std::find(remarks_.begin(), remarks_.end(), comment) == remarks_.end()) {
      remarks_.push_back(comment);
    }
  }
  add_counters(&counters_, counters);
}

absl::Status ProfileMerger::State::add(const Profile& in) {
  if (absl::Status status = check_strict(in); !status.ok()) return status;
  if (absl::Status status = take_header(in); !status.ok()) return status;
  // The parts of a split window, and all processes' windows, are one round.
  if (round_ == 0 || in.time_nanos() != round_start_) ++round_;
  round_start_ = in.time_nanos();
  Renumbering to;
  take_mappings(in, &to);
  take_functions(in, &to);
  take_locations(in, &to);
  for (const auto& sample : in.sample()) take_sample(in, sample, to);
  take_comments(in);
  return absl::OkStatus();
}

Profile ProfileMerger::State::result() {
  out_.clear_comment();
  for (const std::string& remark : remarks_) out_.add_comment(strings_.add(remark));
  for (const auto& [name, value] : counters_) out_.add_comment(strings_.add(counter_comment(name, value)));
  Profile profile = out_;
  if (profile.string_table().empty()) profile.add_string_table("");
  for (const Sums& sums : sums_) {
    auto* sample = profile.add_sample();
    for (std::uint64_t id : sums.locations) sample->add_location_id(id);
    const auto last = last_round_.find(sums.pid);
    const bool is_current = last != last_round_.end() && last->second == sums.level_round;
    for (std::size_t i = 0; i < sums.values.size(); ++i) {
      // A level that its process's last profile no longer shows has gone to 0.
      sample->add_value(is_level_[i] && !is_current ? 0 : sums.values[i]);
    }
    for (std::size_t i = 0; i < sums.labels.size(); i += 4) {
      auto* label = sample->add_label();
      label->set_key(sums.labels[i]);
      label->set_str(sums.labels[i + 1]);
      label->set_num(sums.labels[i + 2]);
      label->set_num_unit(sums.labels[i + 3]);
    }
  }
  return profile;
}

ProfileMerger::ProfileMerger() : state_(std::make_unique<State>()) {}
ProfileMerger::~ProfileMerger() = default;
absl::Status ProfileMerger::add(const Profile& profile) {
  return state_->add(profile);
}
Profile ProfileMerger::result() {
  return state_->result();
}

}  // namespace siprof::client
