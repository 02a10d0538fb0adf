// SPDX-License-Identifier: Apache-2.0
#include "collector/query/pprof_export.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "collector/query/gzip.h"
#include "proto/siprof/counters.h"

namespace siprof::collector {
namespace {

using perftools::profiles::Location;
using perftools::profiles::Profile;

class Exporter {
 public:
  explicit Exporter(const MergedStacks& stacks) : stacks_(stacks) { text(""); }
  Profile make(const std::string& default_type);

 private:
  std::int64_t text(const std::string& text);
  void set_type(const ValueType& from, perftools::profiles::ValueType* to);
  void order_mappings();
  void add_mappings();
  void add_samples();
  void add_sample(std::int32_t node, const std::int64_t* values);
  void add_label(const std::string& label, perftools::profiles::Sample* sample);
  std::uint64_t location(const std::vector<std::uint32_t>& frames);
  std::uint64_t function(const StackFrame& frame);
  void add_lines(const std::vector<std::uint32_t>& frames, Location* out);

  const MergedStacks& stacks_;
  Profile profile_;
  std::vector<std::size_t> order_;          // of the mappings: which comes first, second…
  std::vector<std::uint64_t> mapping_ids_;  // by index + 1
  absl::flat_hash_map<std::string, std::int64_t> texts_;
  // Frames of a location, innermost inlined one first.
  absl::flat_hash_map<std::vector<std::uint32_t>, std::uint64_t> locations_;
  absl::flat_hash_map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::int64_t>, std::uint64_t>
      functions_;
};

std::int64_t Exporter::text(const std::string& text) {
  const auto [slot, fresh] = texts_.try_emplace(text, profile_.string_table_size());
  if (fresh) profile_.add_string_table(text);
  return slot->second;
}

void Exporter::set_type(const ValueType& from, perftools::profiles::ValueType* to) {
  to->set_type(text(from.type));
  to->set_unit(text(from.unit));
}

Profile Exporter::make(const std::string& default_type) {
  for (const ValueType& type : stacks_.types) set_type(type, profile_.add_sample_type());
  add_mappings();
  add_samples();
  set_type(stacks_.period_type, profile_.mutable_period_type());
  profile_.set_period(stacks_.period);
  profile_.set_time_nanos(stacks_.first_ns);
  profile_.set_duration_nanos(stacks_.end_ns - stacks_.first_ns);
  profile_.set_default_sample_type(text(default_type));
  for (const auto& [name, value] : stacks_.counters)
    profile_.add_comment(text(absl::StrCat(kCounterCommentPrefix, name, "=", value)));
  return std::move(profile_);
}

// Tools take the first one for the program itself: an executable has no ".so" in its name.
void Exporter::order_mappings() {
  const auto is_program = [](const StackMapping& mapping) {
    const std::string name = mapping.file.substr(mapping.file.rfind('/') + 1);
    return !name.empty() && name[0] != '[' && name.find(".so") == std::string::npos;
  };
  const auto program = std::find_if(stacks_.mappings.begin(), stacks_.mappings.end(), is_program);
  order_.resize(stacks_.mappings.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  const auto first =
      order_.begin() + (program == stacks_.mappings.end() ? 0 : program - stacks_.mappings.begin());
  if (first != order_.end()) std::rotate(order_.begin(), first, first + 1);
  mapping_ids_.resize(order_.size() + 1);  // 0: none, also there
  for (std::size_t i = 0; i < order_.size(); ++i) mapping_ids_[order_[i] + 1] = i + 1;
}

void Exporter::add_mappings() {
  order_mappings();
  for (const std::size_t index : order_) {
    const StackMapping& from = stacks_.mappings[index];
    auto* to = profile_.add_mapping();
    to->set_id(static_cast<std::uint64_t>(profile_.mapping_size()));
    to->set_memory_start(from.start);
    to->set_memory_limit(from.limit);
    to->set_file_offset(from.offset);
    to->set_filename(text(from.file));
    to->set_build_id(text(from.build_id));
  }
  for (const StackFrame& frame : stacks_.frames) {
    if (frame.mapping == 0 || !frame.symbolized) continue;
    auto* to = profile_.mutable_mapping(static_cast<int>(mapping_ids_[frame.mapping]) - 1);
    to->set_has_functions(true);
    if (frame.file != 0) to->set_has_filenames(true);
    if (frame.line != 0) to->set_has_line_numbers(true);
    if (frame.inlined) to->set_has_inline_frames(true);
  }
}

void Exporter::add_samples() {
  const std::size_t types = stacks_.types.size();
  const auto any = [types](const std::int64_t* values) {
    return std::any_of(values, values + types, [](std::int64_t v) { return v != 0; });
  };
  if (any(stacks_.without_stack.data())) add_sample(-1, stacks_.without_stack.data());
  for (std::size_t i = 0; i < stacks_.nodes.size(); ++i) {
    const std::int64_t* values = stacks_.values.data() + i * types;
    if (any(values)) add_sample(static_cast<std::int32_t>(i), values);
  }
}

void Exporter::add_sample(std::int32_t node, const std::int64_t* values) {
  auto* sample = profile_.add_sample();
  for (std::size_t t = 0; t < stacks_.types.size(); ++t) sample->add_value(values[t]);
  std::vector<std::uint32_t> frames;
  for (; node >= 0; node = stacks_.nodes[static_cast<std::size_t>(node)].parent) {
    const std::uint32_t frame = stacks_.nodes[static_cast<std::size_t>(node)].frame;
    if (stacks_.frames[frame].label) {
      add_label(stacks_.strings[stacks_.frames[frame].name], sample);
      continue;
    }
    frames.push_back(frame);
    // An inlined frame shares the location of the frame it was inlined into.
    if (stacks_.frames[frame].inlined) continue;
    sample->add_location_id(location(frames));
    frames.clear();
  }
  if (!frames.empty()) sample->add_location_id(location(frames));
}

// "key: value".
void Exporter::add_label(const std::string& label, perftools::profiles::Sample* sample) {
  const std::size_t colon = label.find(": ");
  if (colon == std::string::npos) return;
  auto* to = sample->add_label();
  to->set_key(text(label.substr(0, colon)));
  to->set_str(text(label.substr(colon + 2)));
}

std::uint64_t Exporter::location(const std::vector<std::uint32_t>& frames) {
  const auto [slot, fresh] = locations_.try_emplace(frames, profile_.location_size() + 1);
  if (!fresh) return slot->second;
  Location* location = profile_.add_location();
  location->set_id(static_cast<std::uint64_t>(profile_.location_size()));
  location->set_mapping_id(mapping_ids_[stacks_.frames[frames.back()].mapping]);
  location->set_address(stacks_.frames[frames.back()].address);
  add_lines(frames, location);
  return location->id();
}

void Exporter::add_lines(const std::vector<std::uint32_t>& frames, Location* out) {
  for (const std::uint32_t index : frames) {
    const StackFrame& frame = stacks_.frames[index];
    if (!frame.symbolized) continue;
    auto* line = out->add_line();
    line->set_function_id(function(frame));
    line->set_line(frame.line);
  }
}

std::uint64_t Exporter::function(const StackFrame& frame) {
  const auto [slot, fresh] = functions_.try_emplace(
      {frame.name, frame.system_name, frame.file, frame.start_line}, profile_.function_size() + 1);
  if (!fresh) return slot->second;
  auto* function = profile_.add_function();
  function->set_id(static_cast<std::uint64_t>(profile_.function_size()));
  function->set_name(text(stacks_.strings[frame.name]));
  function->set_system_name(text(stacks_.strings[frame.system_name]));
  function->set_filename(text(stacks_.strings[frame.file]));
  function->set_start_line(frame.start_line);
  return function->id();
}

}  // namespace

Profile make_pprof(const MergedStacks& stacks, const std::string& default_type) {
  return Exporter(stacks).make(default_type);
}

std::string gzip_pprof(const Profile& profile) {
  return gzip(profile.SerializeAsString(), GzipLevel::kSmall);
}

}  // namespace siprof::collector
