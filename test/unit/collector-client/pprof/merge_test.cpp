// SPDX-License-Identifier: Apache-2.0
// Merging, validating and summarizing profiles.
#include <catch2/catch.hpp>

#include "collector-client/pprof/profile_builder.h"
#include "collector-client/pprof/profile_merger.h"
#include "collector-client/pprof/summary.h"
#include "collector-client/pprof/validate.h"
#include "test/unit/collector-client/pprof/sample_window.h"

namespace siprof::client {
namespace {

using perftools::profiles::Profile;

Profile build(Window window) {
  FakeFrames frames = make_frames();
  return build_profiles(window, frames, {}).at(0);
}

Profile cpu_profile(std::int64_t start, std::int64_t value, std::uint64_t address = 0x1010) {
  Window window = make_window(Kind::kCpu, start);
  window.samples.push_back(make_sample({{&kApp, address}, {&kApp, 0x1020}}, {1, value}));
  window.counters = {{"taken", 1}, {"cpu_hz", static_cast<std::uint64_t>(start)}};
  return build(window);
}

std::int64_t total(const Profile& p, int type) {
  std::int64_t sum = 0;
  for (const auto& sample : p.sample()) sum += sample.value(type);
  return sum;
}

Profile heap_profile(std::int64_t start, pid_t pid, std::uint64_t address, Values values) {
  Window window = make_window(Kind::kHeap, start);
  window.samples.push_back(make_sample({{&kApp, address}}, values, pid));
  return build(window);
}

}  // namespace

TEST_CASE("merged profiles add up and equal code is there once") {
  ProfileMerger merger;
  REQUIRE(merger.add(cpu_profile(110, 5)).ok());
  REQUIRE(merger.add(cpu_profile(100, 7)).ok());
  REQUIRE(merger.add(cpu_profile(120, 3, 0x1030)).ok());
  const Profile p = merger.result();
  CHECK(check_strict(p) == absl::OkStatus());
  CHECK(p.sample_size() == 2);
  CHECK(total(p, 1) == 15);
  CHECK(p.mapping_size() == 1);
  CHECK(p.location_size() == 3);
  CHECK(p.time_nanos() == 100'000'000'000);
  CHECK(p.duration_nanos() == 30'000'000'000);
  std::vector<std::string> comments;
  for (std::int64_t id : p.comment()) comments.push_back(p.string_table(static_cast<int>(id)));
  CHECK(comments == std::vector<std::string>{"siprof.cpu_hz=120", "siprof.taken=3"});
  CHECK(merger.result().SerializeAsString() == p.SerializeAsString());
}

TEST_CASE("levels are the last window's of each process, not a sum") {
  ProfileMerger merger;
  REQUIRE(merger.add(heap_profile(100, 1, 0x1010, {1, 10, 4, 40})).ok());
  REQUIRE(merger.add(heap_profile(100, 2, 0x1010, {1, 10, 5, 50})).ok());
  REQUIRE(merger.add(heap_profile(110, 1, 0x1030, {1, 10, 6, 60})).ok());
  const Profile p = merger.result();
  CHECK(total(p, 1) == 30);
  // Process 1 now holds only what its second window shows; process 2 has ended with 50.
  CHECK(total(p, 3) == 110);
}

TEST_CASE("a broken or foreign profile is refused and changes nothing") {
  ProfileMerger merger;
  REQUIRE(merger.add(cpu_profile(100, 7)).ok());
  const std::string before = merger.result().SerializeAsString();
  Profile broken = cpu_profile(100, 7);
  broken.mutable_sample(0)->set_location_id(0, 99);
  CHECK_FALSE(merger.add(broken).ok());
  CHECK_FALSE(merger.add(heap_profile(100, 1, 0x1010, {1, 1, 1, 1})).ok());
  CHECK(merger.result().SerializeAsString() == before);
  CHECK(check_strict(ProfileMerger().result()) == absl::OkStatus());
}

TEST_CASE("each broken rule is noticed") {
  const Profile good = cpu_profile(100, 7);
  REQUIRE(check_strict(good).ok());
  const auto breaks = [&](auto change) {
    Profile p = good;
    change(&p);
    return !check_strict(p).ok();
  };
  CHECK(breaks([](Profile* p) { p->set_string_table(0, "x"); }));
  CHECK(breaks([](Profile* p) { p->add_string_table("\xff"); }));
  CHECK(breaks([](Profile* p) { p->add_string_table("main"); }));
  CHECK(breaks([](Profile* p) { p->mutable_location(0)->set_id(5); }));
  CHECK(breaks([](Profile* p) { p->mutable_mapping(0)->set_id(0); }));
  CHECK(breaks([](Profile* p) { p->mutable_function(0)->set_name(9999); }));
  CHECK(breaks([](Profile* p) { p->mutable_sample(0)->add_value(1); }));
  CHECK(breaks([](Profile* p) { p->mutable_sample(0)->clear_location_id(); }));
  CHECK(breaks([](Profile* p) { *p->mutable_sample(0)->add_label() = p->sample(0).label(0); }));
  CHECK(breaks([](Profile* p) { p->mutable_location(0)->mutable_line(0)->set_function_id(77); }));
  CHECK(breaks([](Profile* p) { p->set_default_sample_type(p->string_table_size()); }));
  CHECK(breaks([](Profile* p) { p->add_comment(-1); }));
}

TEST_CASE("the summary counts a stack once per function and sorts by self") {
  Window window = make_window();
  window.samples.push_back(
      make_sample({{&kApp, 0x1010}, {&kApp, 0x1020}, {&kApp, 0x1020}}, {7, 700'000'000}));
  window.samples.push_back(make_sample({{&kLibrary, 0x1100}, {&kApp, 0x1020}}, {3, 300'000'000}));
  const Profile p = build(window);
  const Summary summary = summarize(p);
  CHECK(summary.type == "cpu");
  CHECK(summary.total == 1'000'000'000);
  REQUIRE(summary.functions.size() == 3);
  CHECK(summary.functions[0].name == "big()");
  CHECK(summary.functions[0].self == 700'000'000);
  CHECK(summary.functions[1].name == "[libfoo.so]");
  CHECK(summary.functions[2].name == "main");
  CHECK(summary.functions[2].self == 0);
  CHECK(summary.functions[2].total == 1'000'000'000);
  const std::string table = summary_table(summary, 1);
  CHECK(table.find("700.0ms  70.0%") != std::string::npos);
  CHECK(table.find("libfoo") == std::string::npos);
  CHECK(summarize(p, "samples").total == 10);
  CHECK(summarize(p, "nonsense").functions.empty());
  CHECK(format_value(1536, "bytes") == "1.50KiB");
  CHECK(format_value(1'250'000'000, "nanoseconds") == "1.25s");
  CHECK(format_value(42, "count") == "42");
}

}  // namespace siprof::client
