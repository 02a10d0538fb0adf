// SPDX-License-Identifier: Apache-2.0
// Writes the entities of one profile.
#include "collector-client/pprof/profile_writer.h"

namespace siprof::client {
namespace {

using perftools::profiles::Function;
using perftools::profiles::Label;
using perftools::profiles::Line;
using perftools::profiles::Location;
using perftools::profiles::Mapping;
using perftools::profiles::Sample;

// Field tag and length before a nested message or string of up to 4 MiB.
constexpr std::size_t kFrameBytes = 1 + 4;
constexpr std::size_t kHeaderBytes = 128;  // times, period, types: all varints

}  // namespace

ProfileWriter::ProfileWriter(const KindInfo& kind, const Module* main_executable) : bytes_(kHeaderBytes) {
  for (const SampleType& type : kind.types) {
    auto* out = profile_.add_sample_type();
    out->set_type(text(type.type));
    out->set_unit(text(type.unit));
  }
  profile_.mutable_period_type()->set_type(text(kind.period_type.type));
  profile_.mutable_period_type()->set_unit(text(kind.period_type.unit));
  profile_.set_default_sample_type(text(kind.default_type));
  if (main_executable != nullptr) mapping(main_executable);
}

void ProfileWriter::account(const google::protobuf::MessageLite& message) {
  bytes_ += message.ByteSizeLong() + kFrameBytes;
}

std::int64_t ProfileWriter::text(std::string_view text) {
  const int before = profile_.string_table_size();
  const std::int64_t id = strings_.add(text);
  if (profile_.string_table_size() != before) bytes_ += profile_.string_table(before).size() + kFrameBytes;
  return id;
}

std::uint64_t ProfileWriter::mapping(const Module* module) {
  if (module == nullptr || module == python_code()) return 0;
  auto [entry, is_new] = mappings_.try_emplace(module, profile_.mapping_size() + 1);
  if (!is_new) return entry->second;
  Mapping* out = profile_.add_mapping();
  out->set_id(entry->second);
  out->set_memory_start(module->text_start);
  out->set_memory_limit(module->text_end);
  out->set_file_offset(module->text_file_offset);
  out->set_filename(text(module->path));
  out->set_build_id(text(module->build_id));
  account(*out);
  bytes_ += 8;  // the four has_… that locations set later
  return entry->second;
}

std::uint64_t ProfileWriter::function(const SourceFrame& frame) {
  const std::string& system_name = frame.system_name.empty() ? frame.name : frame.system_name;
  const std::vector<std::int64_t> fields = {text(frame.name), text(system_name), text(frame.file),
                                            frame.start_line};
  auto [entry, is_new] = functions_.try_emplace(fields, profile_.function_size() + 1);
  if (!is_new) return entry->second;
  Function* out = profile_.add_function();
  out->set_id(entry->second);
  out->set_name(fields[0]);
  out->set_system_name(fields[1]);
  out->set_filename(fields[2]);
  out->set_start_line(fields[3]);
  account(*out);
  return entry->second;
}

std::uint64_t ProfileWriter::location(const NamedPlace& named) {
  auto [entry, is_new] = locations_.try_emplace(named.place, profile_.location_size() + 1);
  if (!is_new) return entry->second;
  const std::uint64_t id = entry->second;
  Location* out = profile_.add_location();
  out->set_id(id);
  if (!named.place.code.is_python()) out->set_address(named.place.code.address);
  out->set_mapping_id(mapping(named.place.code.module));
  for (const SourceFrame& frame : *named.frames) {
    Line* line = out->add_line();
    line->set_function_id(function(frame));
    line->set_line(frame.line);
  }
  account(*out);
  if (out->mapping_id() != 0 && !named.frames->empty()) {
    Mapping* of = profile_.mutable_mapping(static_cast<int>(out->mapping_id()) - 1);
    of->set_has_functions(true);
    if (!named.frames->front().file.empty()) of->set_has_filenames(true);
    if (named.frames->front().line != 0) of->set_has_line_numbers(true);
    if (named.frames->size() > 1) of->set_has_inline_frames(true);
  }
  return id;
}

std::uint64_t ProfileWriter::unknown_location() {
  if (unknown_location_ != 0) return unknown_location_;
  SourceFrame frame;
  frame.name = "[unknown]";
  Location* out = profile_.add_location();
  unknown_location_ = static_cast<std::uint64_t>(profile_.location_size());
  out->set_id(unknown_location_);
  out->add_line()->set_function_id(function(frame));
  account(*out);
  return unknown_location_;
}

void ProfileWriter::add_label(Sample* sample, const SampleLabel& label) {
  Label* out = sample->add_label();
  out->set_key(text(label.key));
  if (label.text.empty()) {
    out->set_num(label.number);
  } else {
    out->set_str(text(label.text));
  }
}

void ProfileWriter::add_sample(std::span<const NamedPlace> stack, const WindowSample& sample,
                               std::size_t value_count) {
  Sample* out = profile_.add_sample();
  for (const NamedPlace& named : stack) out->add_location_id(location(named));
  if (stack.empty()) out->add_location_id(unknown_location());
  for (std::size_t i = 0; i < value_count; ++i) out->add_value(sample.values[i]);
  if (!sample.thread_name.empty()) add_label(out, {"thread", sample.thread_name, 0});
  add_label(out, {"thread_id", "", sample.thread_id});
  add_label(out, {"pid", "", sample.pid});
  if (sample.gil != Gil::kUnknown)
    add_label(out, {"gil", sample.gil == Gil::kAwaited ? "awaited" : "released", 0});
  for (const SampleLabel& label : sample.labels) add_label(out, label);
  account(*out);
}

std::size_t ProfileWriter::cost(std::span<const NamedPlace> stack, const WindowSample& sample) const {
  // Of one message and its integers, without its texts.
  constexpr std::size_t kMessageBytes = 64;
  std::size_t bytes = 7 * kMessageBytes + stack.size() * 5 + presentable(sample.thread_name).size();
  for (const SampleLabel& label : sample.labels) {
    bytes += kMessageBytes + presentable(label.key).size() + presentable(label.text).size();
  }
  for (const NamedPlace& named : stack) {
    if (locations_.contains(named.place)) continue;
    bytes += kMessageBytes;
    for (const SourceFrame& frame : *named.frames) {
      bytes += 2 * kMessageBytes + frame.name.size() + frame.system_name.size() + frame.file.size();
    }
    const Module* module = named.place.code.module;
    if (module != nullptr && !mappings_.contains(module)) {
      bytes += 2 * kMessageBytes + presentable(module->path).size() + module->build_id.size();
    }
  }
  return bytes;
}

void ProfileWriter::add_comment(std::string_view comment) {
  profile_.add_comment(text(comment));
  bytes_ += 10;
}

}  // namespace siprof::client
