// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/profile_row.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector/store/kinds.h"
#include "collector/store/sqlite/layout.h"

namespace siprof::collector::sqlite {
namespace {

using perftools::profiles::Profile;

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

absl::Status broken(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the profile is inconsistent: ", what));
}

absl::string_view text_at(const Profile& profile, std::int64_t index) {
  if (index < 0 || index >= profile.string_table_size()) return "";
  return profile.string_table(static_cast<int>(index));
}

// Ingest has checked the profile; the indices are checked again because a wrong
// one here would be somebody else's stack for ever.
class ProfileReader {
 public:
  ProfileReader(const Profile& profile, CatalogWriter& catalog, Id service)
      : profile_(profile), catalog_(catalog), service_(service), strings_(profile.string_table_size(), 0) {}

  absl::StatusOr<StackValues> stacks();

 private:
  absl::Status intern_mappings();
  absl::Status intern_functions();
  absl::Status intern_locations();
  absl::StatusOr<std::uint32_t> stack_of(const perftools::profiles::Sample& sample);
  absl::StatusOr<std::vector<Id>> labels_of(const perftools::profiles::Sample& sample);
  absl::StatusOr<Id> string(std::int64_t index);
  absl::StatusOr<StackValues> sorted(int types) const;

  const Profile& profile_;
  CatalogWriter& catalog_;
  Id service_;
  std::vector<Id> strings_, mappings_, functions_;
  // Frames of a location, outermost first, and the hash of their ids.
  std::vector<std::vector<Id>> locations_;
  std::vector<CatalogWriter::StackHash> location_hashes_;
  absl::flat_hash_map<std::uint32_t, std::size_t> slots_;
  std::vector<std::uint32_t> ids_;
  std::vector<std::int64_t> values_;  // of slot i from i * types on
};

absl::StatusOr<Id> ProfileReader::string(std::int64_t index) {
  if (index < 0 || index >= profile_.string_table_size()) return broken("a string index is out of range");
  Id& id = strings_[static_cast<std::size_t>(index)];
  if (id != 0) return id;
  const absl::StatusOr<Id> found = catalog_.string(profile_.string_table(static_cast<int>(index)));
  if (found.ok()) id = *found;
  return found;
}

absl::Status ProfileReader::intern_mappings() {
  for (const auto& mapping : profile_.mapping()) {
    const absl::StatusOr<Id> file = string(mapping.filename());
    if (!file.ok()) return file.status();
    const absl::StatusOr<Id> build_id = string(mapping.build_id());
    if (!build_id.ok()) return build_id.status();
    const absl::StatusOr<Id> id =
        catalog_.mapping({*file, *build_id, static_cast<Id>(mapping.memory_start()),
                          static_cast<Id>(mapping.memory_limit()), static_cast<Id>(mapping.file_offset())});
    if (!id.ok()) return id.status();
    mappings_.push_back(*id);
  }
  return absl::OkStatus();
}

absl::Status ProfileReader::intern_functions() {
  for (const auto& function : profile_.function()) {
    const absl::StatusOr<Id> name = string(function.name());
    if (!name.ok()) return name.status();
    const absl::StatusOr<Id> system_name = string(function.system_name());
    if (!system_name.ok()) return system_name.status();
    const absl::StatusOr<Id> file = string(function.filename());
    if (!file.ok()) return file.status();
    const absl::StatusOr<Id> id = catalog_.function({*name, *system_name, *file, function.start_line()});
    if (!id.ok()) return id.status();
    functions_.push_back(*id);
  }
  return absl::OkStatus();
}

// An address is kept only where nothing better is known: else every call site of
// a line would be a stack of its own.
absl::Status ProfileReader::intern_locations() {
  for (const auto& location : profile_.location()) {
    if (location.mapping_id() > mappings_.size()) return broken("a mapping id is out of range");
    const Id mapping = location.mapping_id() == 0 ? 0 : mappings_[location.mapping_id() - 1];
    std::vector<Id>& frames = locations_.emplace_back();
    if (location.line_size() == 0) {
      const absl::StatusOr<Id> id = catalog_.frame({0, 0, mapping, static_cast<Id>(location.address()), 0});
      if (!id.ok()) return id.status();
      frames.push_back(*id);
    }
    for (int i = location.line_size() - 1; i >= 0; --i) {
      const auto& line = location.line(i);
      if (line.function_id() == 0 || line.function_id() > functions_.size())
        return broken("a function id is out of range");
      const bool inlined = i + 1 < location.line_size();
      const absl::StatusOr<Id> id =
          catalog_.frame({functions_[line.function_id() - 1], line.line(), mapping, 0, inlined});
      if (!id.ok()) return id.status();
      frames.push_back(*id);
    }
  }
  for (const std::vector<Id>& frames : locations_) {
    CatalogWriter::StackHash hash{frames.size(), 0};
    for (const Id frame : frames) hash = hash.then({static_cast<std::uint64_t>(frame), 0});
    location_hashes_.push_back(hash);
  }
  return absl::OkStatus();
}

// The frames that stand for them; in the order of the names, so that equal sets are equal.
absl::StatusOr<std::vector<Id>> ProfileReader::labels_of(const perftools::profiles::Sample& sample) {
  std::vector<std::string> texts;
  for (const auto& label : sample.label()) {
    const absl::string_view key = text_at(profile_, label.key());
    const absl::string_view value = text_at(profile_, label.str());
    if (!value.empty() && is_kept_label(key)) texts.push_back(absl::StrCat(key, ": ", value));
  }
  std::ranges::sort(texts);
  std::vector<Id> frames;
  for (const std::string& text : texts) {
    const absl::StatusOr<Id> name = catalog_.string(text);
    if (!name.ok()) return name.status();
    const absl::StatusOr<Id> function = catalog_.function({*name, 0, 0, 0});
    if (!function.ok()) return function.status();
    const absl::StatusOr<Id> frame = catalog_.frame({*function, 0, 0, 0, kLabelFrame});
    if (!frame.ok()) return frame.status();
    frames.push_back(*frame);
  }
  return frames;
}

absl::StatusOr<std::uint32_t> ProfileReader::stack_of(const perftools::profiles::Sample& sample) {
  const absl::StatusOr<std::vector<Id>> labels = labels_of(sample);
  if (!labels.ok()) return labels.status();
  CatalogWriter::StackHash hash{static_cast<std::uint64_t>(service_), labels->size()};
  for (const Id label : *labels) hash = hash.then({static_cast<std::uint64_t>(label), 1});
  for (const std::uint64_t location : sample.location_id()) {
    if (location == 0 || location > locations_.size()) return broken("a location id is out of range");
    hash = hash.then(location_hashes_[location - 1]);
  }
  if (const std::optional<std::uint32_t> known = catalog_.known_stack(hash)) return *known;
  std::uint32_t node = 0;
  for (int i = sample.location_id_size() - 1; i >= 0; --i) {
    for (const Id frame : locations_[sample.location_id(i) - 1]) {
      const absl::StatusOr<std::uint32_t> child = catalog_.stack_node(service_, node, frame);
      if (!child.ok()) return child.status();
      node = *child;
    }
  }
  for (const Id label : *labels) {
    const absl::StatusOr<std::uint32_t> child = catalog_.stack_node(service_, node, label);
    if (!child.ok()) return child.status();
    node = *child;
  }
  catalog_.remember_stack(hash, node);
  return node;
}

absl::StatusOr<StackValues> ProfileReader::stacks() {
  if (absl::Status status = intern_mappings(); !status.ok()) return status;
  if (absl::Status status = intern_functions(); !status.ok()) return status;
  if (absl::Status status = intern_locations(); !status.ok()) return status;
  const int types = profile_.sample_type_size();
  for (const auto& sample : profile_.sample()) {
    if (sample.value_size() != types) return broken("a sample has not one value per sample type");
    if (std::ranges::any_of(sample.value(), [](std::int64_t v) { return v < 0; }))
      return broken("a value is negative");
    const absl::StatusOr<std::uint32_t> stack = stack_of(sample);
    if (!stack.ok()) return stack.status();
    const auto [slot, fresh] = slots_.try_emplace(*stack, ids_.size());
    if (fresh) {
      ids_.push_back(*stack);
      values_.resize(values_.size() + static_cast<std::size_t>(types));
    }
    for (int t = 0; t < types; ++t) {
      std::int64_t& sum =
          values_[slot->second * static_cast<std::size_t>(types) + static_cast<std::size_t>(t)];
      sum = saturating_add(sum, sample.value(t));
    }
  }
  return sorted(types);
}

absl::StatusOr<StackValues> ProfileReader::sorted(int types) const {
  std::vector<std::size_t> order(ids_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [this](std::size_t slot) { return ids_[slot]; });
  StackValues out;
  out.types = types;
  out.ids.reserve(order.size());
  out.values.reserve(values_.size());
  for (const std::size_t slot : order) out.ids.push_back(ids_[slot]);
  const auto width = static_cast<std::size_t>(types);
  for (std::size_t t = 0; t < width; ++t)
    for (const std::size_t slot : order) out.values.push_back(values_[slot * width + t]);
  return out;
}

absl::Status set_counters(const IncomingProfile& incoming, CatalogWriter& catalog, ProfileRow& row) {
  Counters counters;
  for (const auto& [name, value] : incoming.counters) {
    const absl::StatusOr<Id> id = catalog.string(name);
    if (!id.ok()) return id.status();
    counters.emplace_back(static_cast<std::uint64_t>(*id), value);
    row.counter_names.push_back(*id);
  }
  row.counters = encode_counters(counters);
  return absl::OkStatus();
}

std::vector<std::int64_t> totals_of(const StackValues& stacks) {
  std::vector<std::int64_t> totals(static_cast<std::size_t>(stacks.types), 0);
  for (std::size_t i = 0; i < stacks.values.size(); ++i) {
    std::int64_t& total = totals[i / stacks.ids.size()];
    total = saturating_add(total, stacks.values[i]);
  }
  return totals;
}

absl::Status set_identity(const IncomingProfile& incoming, CatalogWriter& catalog, Id service,
                          ProfileRow& row) {
  const absl::StatusOr<Id> labels = catalog.label_set(incoming.attributes);
  if (!labels.ok()) return labels.status();
  const absl::StatusOr<Id> series =
      catalog.series(service, *labels, incoming.kind, types_key(incoming.profile));
  if (!series.ok()) return series.status();
  const absl::StatusOr<Id> agent = catalog.agent(incoming.agent_id);
  if (!agent.ok()) return agent.status();
  row.service = service;
  row.series = *series;
  row.agent = *agent;
  row.sequence = static_cast<std::int64_t>(incoming.sequence);
  row.start_ns = incoming.start_unix_ns;
  row.duration_ns = incoming.duration_ns;
  row.period = incoming.profile.period();
  return absl::OkStatus();
}

}  // namespace

std::string types_key(const Profile& profile) {
  const auto type_and_unit = [&profile](const perftools::profiles::ValueType& type) {
    return absl::StrCat(text_at(profile, type.type()), "/", text_at(profile, type.unit()));
  };
  const auto append = [&](std::string* out, const auto& type) { absl::StrAppend(out, type_and_unit(type)); };
  return absl::StrCat(absl::StrJoin(profile.sample_type(), ",", append), ";",
                      type_and_unit(profile.period_type()));
}

absl::StatusOr<ProfileRow> make_row(const IncomingProfile& incoming, CatalogWriter& catalog,
                                    StackEncoder& encoder) {
  const int types = incoming.profile.sample_type_size();
  if (types == 0 || types > kMaxTypes)
    return broken(absl::StrCat("it has ", types, " sample types, 1 to ", kMaxTypes, " are stored"));
  const auto name = incoming.attributes.find("service.name");
  if (name == incoming.attributes.end() || name->second.empty()) return broken("it has no service.name");
  const absl::StatusOr<Id> service = catalog.service(name->second);
  if (!service.ok()) return service.status();
  ProfileRow row;
  if (absl::Status status = set_identity(incoming, catalog, *service, row); !status.ok()) return status;
  absl::StatusOr<StackValues> stacks = ProfileReader(incoming.profile, catalog, *service).stacks();
  if (!stacks.ok()) return stacks.status();
  row.totals = totals_of(*stacks);
  row.stacks = encoder.encode(*stacks);
  row.stack_ids = std::move(stacks->ids);
  if (absl::Status status = set_counters(incoming, catalog, row); !status.ok()) return status;
  return row;
}

}  // namespace siprof::collector::sqlite
