// SPDX-License-Identifier: Apache-2.0
#include "test/collector/store_support.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace siprof::collector::test {
namespace {

using perftools::profiles::Profile;

class Builder {
 public:
  explicit Builder(const std::string& kind) : heap_(kind == "heap") {
    text("");
    if (heap_) {
      add_type("inuse_space", "bytes");
    } else {
      add_type("samples", "count");
      add_type("cpu", "nanoseconds");
    }
    profile_.mutable_period_type()->set_type(text("cpu"));
    profile_.mutable_period_type()->set_unit(text("nanoseconds"));
    profile_.set_period(10'000'000);
    auto* mapping = profile_.add_mapping();
    mapping->set_id(1);
    mapping->set_filename(text("/usr/bin/shop"));
    mapping->set_build_id(text("abcd"));
  }

  void add_line(const std::string& line) {
    const std::size_t space = line.rfind(' ');
    std::int64_t value = 0;
    REQUIRE(absl::SimpleAtoi(line.substr(space + 1), &value));
    auto* sample = profile_.add_sample();
    std::vector<std::string> frames = absl::StrSplit(line.substr(0, space), ';', absl::SkipEmpty());
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
      if (frame->starts_with('@'))
        add_label(frame->substr(1), sample);
      else
        sample->add_location_id(location(*frame));
    }
    if (!heap_) sample->add_value(1);
    sample->add_value(value);
    auto* label = sample->add_label();
    label->set_key(text("pid"));
    label->set_num(42);
  }
  Profile take() { return std::move(profile_); }

 private:
  void add_label(const std::string& text_of_it, perftools::profiles::Sample* sample) {
    const std::vector<std::string> parts = absl::StrSplit(text_of_it, absl::MaxSplits('=', 1));
    auto* label = sample->add_label();
    label->set_key(text(parts[0]));
    label->set_str(text(parts[1]));
  }
  std::int64_t text(const std::string& text) {
    const auto [slot, fresh] = texts_.try_emplace(text, profile_.string_table_size());
    if (fresh) profile_.add_string_table(text);
    return slot->second;
  }
  void add_type(const std::string& type, const std::string& unit) {
    auto* added = profile_.add_sample_type();
    added->set_type(text(type));
    added->set_unit(text(unit));
  }
  // "a+b": b inlined into a. "?": no symbol.
  std::uint64_t location(const std::string& name) {
    const auto [slot, fresh] = locations_.try_emplace(name, profile_.location_size() + 1);
    if (!fresh) return slot->second;
    auto* location = profile_.add_location();
    location->set_id(slot->second);
    location->set_mapping_id(1);
    location->set_address(0x1000 + slot->second);
    const std::vector<std::string> parts = absl::StrSplit(name, '+');
    for (auto part = parts.rbegin(); name != "?" && part != parts.rend(); ++part) {
      auto* function = profile_.add_function();
      function->set_id(static_cast<std::uint64_t>(profile_.function_size()));
      function->set_name(text(*part));
      function->set_system_name(text("_Z" + *part));
      function->set_filename(text("/src/" + *part + ".cpp"));
      auto* line = location->add_line();
      line->set_function_id(function->id());
      line->set_line(7);
    }
    return slot->second;
  }

  bool heap_;
  Profile profile_;
  std::map<std::string, std::int64_t> texts_;
  std::map<std::string, std::uint64_t> locations_;
};

}  // namespace

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "siprof-test-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;  // a test's rest in /tmp fails no test
  std::filesystem::remove_all(path_, ignored);
}

IncomingProfile make_profile(const ProfileSpec& spec, const std::string& folded) {
  Builder builder(spec.kind);
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(folded, '\n', absl::SkipEmpty())))
    builder.add_line(line);
  IncomingProfile incoming;
  incoming.agent_id = spec.agent;
  incoming.sequence = spec.sequence;
  incoming.kind = spec.kind;
  incoming.start_unix_ns = spec.start_s * kSecondNs;
  incoming.duration_ns = 10 * kSecondNs;
  incoming.attributes = spec.labels;
  incoming.attributes["service.name"] = spec.service;
  incoming.profile = builder.take();
  incoming.counters = spec.counters;
  return incoming;
}

IncomingMetrics make_metrics(const MetricsSpec& spec, std::vector<MetricPoint> points) {
  IncomingMetrics incoming;
  incoming.agent_id = spec.agent;
  incoming.sequence = spec.sequence;
  incoming.start_unix_ns = spec.start_s * kSecondNs;
  incoming.duration_ns = spec.seconds * kSecondNs;
  incoming.attributes = spec.attributes;
  incoming.attributes["service.name"] = spec.service;
  incoming.points = std::move(points);
  return incoming;
}

MetricPoint memory(double value, const std::string& pid) {
  return {{"process.memory.usage", "By", MetricType::kGauge}, {{"pid", pid}}, value};
}

MetricPoint faults(double value, const std::string& pid, const std::string& type) {
  return {{"process.paging.faults", "{fault}", MetricType::kCounter},
          {{"pid", pid}, {"process.paging.fault_type", type}},
          value};
}

TestStore::TestStore(const std::string& dir, std::int64_t max_bytes) {
  auto opened =
      sqlite::SqliteStore::open({dir, default_tiers(), max_bytes, [this] { return now_s * kSecondNs; }});
  INFO(opened.status().ToString());
  REQUIRE(opened.ok());
  store = *std::move(opened);
  auto reading = sqlite::SqliteReader::open(dir, default_tiers().front());
  INFO(reading.status().ToString());
  REQUIRE(reading.ok());
  reader = *std::move(reading);
}

absl::StatusOr<Stored> TestStore::write(const ProfileSpec& spec, const std::string& folded) {
  const IncomingProfile profile = make_profile(spec, folded);
  return store->write({&profile, 1}).front();
}

void TestStore::add(ProfileSpec spec, const std::string& folded) {
  spec.sequence = ++sequence_;
  const absl::StatusOr<Stored> stored = write(spec, folded);
  INFO(stored.status().ToString());
  REQUIRE(stored.ok());
  REQUIRE(*stored == Stored::kNew);
}

absl::StatusOr<Stored> TestStore::write(const MetricsSpec& spec, const std::vector<MetricPoint>& points) {
  const IncomingMetrics metrics = make_metrics(spec, points);
  return store->write_metrics({&metrics, 1}).front();
}

void TestStore::add(MetricsSpec spec, const std::vector<MetricPoint>& points) {
  spec.sequence = ++sequence_;
  const absl::StatusOr<Stored> stored = write(spec, points);
  INFO(stored.status().ToString());
  REQUIRE(stored.ok());
  REQUIRE(*stored == Stored::kNew);
}

std::string windows_of(const TestStore& store, const Selection& selection, const std::string& name,
                       const std::string& by) {
  const auto history = store.reader->metric_history(selection, name, by);
  INFO(history.status().ToString());
  REQUIRE(history.ok());
  std::vector<std::string> lines;
  for (const auto& [line, windows] : history->lines)
    for (const MetricWindow& window : windows)
      lines.push_back(absl::StrCat(line, " ", window.start_ns / kSecondNs, " ", window.end_ns / kSecondNs,
                                   " ", window.value));
  std::ranges::sort(lines);
  return absl::StrJoin(lines, "\n");
}

Selection select(const std::string& service, std::int64_t from_s, std::int64_t to_s) {
  Selection selection;
  selection.service = service;
  selection.kind = "cpu";
  selection.range = {from_s * kSecondNs, to_s * kSecondNs};
  return selection;
}

std::int64_t cpu_total(const TestStore& store, const Selection& selection) {
  const auto stacks = store.reader->stacks(selection, "cpu");
  INFO(stacks.status().ToString());
  REQUIRE(stacks.ok());
  std::int64_t total = stacks->types.empty() ? 0 : stacks->without_stack[0];
  for (const std::int64_t value : stacks->values) total += value;
  return total;
}

}  // namespace siprof::collector::test
