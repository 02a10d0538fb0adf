// SPDX-License-Identifier: Apache-2.0
// Built profiles keep the strict rules, and go's own tool reads them.
#include "collector-client/pprof/profile_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <numeric>

#include "collector-client/base/file_io.h"
#include "collector-client/pprof/string_table.h"
#include "collector-client/pprof/validate.h"
#include "test/unit/collector-client/pprof/sample_window.h"

namespace siprof::client {
namespace {

using perftools::profiles::Profile;

const std::string& text(const Profile& p, std::int64_t id) {
  return p.string_table(static_cast<int>(id));
}

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (const std::size_t got = ::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, got);
  ::pclose(pipe);
  return output;
}

Window usual_window() {
  Window window = make_window();
  window.samples.push_back(make_sample({{&kApp, 0x1010}, {&kApp, 0x1020}}, {70, 700'000'000}));
  window.samples.push_back(make_sample({{&kApp, 0x1030}, {&kApp, 0x1020}}, {30, 300'000'000}));
  window.counters = {{"taken", 100}, {"cpu_hz", 100}};
  return window;
}

}  // namespace

TEST_CASE("a built profile keeps the strict rules and says what the window held") {
  FakeFrames frames = make_frames();
  Window window = usual_window();
  const std::vector<Profile> profiles = build_profiles(window, frames, {.period = 10'000'000});
  REQUIRE(profiles.size() == 1);
  const Profile& p = profiles[0];
  CHECK(check_strict(p) == absl::OkStatus());
  CHECK(text(p, p.mapping(0).filename()) == "/bin/app");
  CHECK(text(p, p.mapping(0).build_id()) == "ab");
  CHECK(p.mapping(0).has_functions());
  CHECK(p.mapping(0).has_inline_frames());
  CHECK(p.time_nanos() == 1'700'000'000'000'000'000);
  CHECK(p.duration_nanos() == 10'000'000'000);
  CHECK(p.period() == 10'000'000);
  CHECK(text(p, p.default_sample_type()) == "cpu");
  CHECK(frames.asked == 3);
  const auto& inlined = p.location(static_cast<int>(p.sample(0).location_id(0)) - 1);
  REQUIRE(inlined.line_size() == 2);
  const auto& function = p.function(static_cast<int>(inlined.line(0).function_id()) - 1);
  CHECK(text(p, function.name()) == "big()");
  CHECK(text(p, function.system_name()) == "_Z3bigv");
  std::vector<std::string> comments;
  for (std::int64_t id : p.comment()) comments.push_back(text(p, id));
  CHECK(comments == std::vector<std::string>{"siprof.cpu_hz=100", "siprof.taken=100"});
}

TEST_CASE("Python frames have lines, and neither address nor mapping") {
  FakeFrames frames = make_frames();
  frames.known[{python_code(), 0x10}] = {{"shop.total", "total", "/srv/shop.py", 12, 10}};
  frames.known[{python_code(), 0x11}] = {{"shop.total", "total", "/srv/shop.py", 13, 10}};
  Window window = make_window();
  window.samples.push_back(
      make_sample({{&kLibrary, 0x1000}, {python_code(), 0x10}, {python_code(), 0x11}}, {1, 1}));
  window.samples.back().gil = Gil::kReleased;
  window.samples.back().holder = std::make_shared<const Stack>(Stack{{python_code(), 0x11}});
  window.samples.push_back(make_sample({{python_code(), 0x10}}, {1, 1}));
  window.samples.back().gil = Gil::kAwaited;
  window.samples.push_back(make_sample({{python_code(), 0x11}}, {1, 1}));
  const std::vector<Profile> profiles = build_profiles(window, frames, {});
  REQUIRE(profiles.size() == 1);
  const Profile& p = profiles[0];
  CHECK(check_strict(p) == absl::OkStatus());
  CHECK(p.mapping_size() == 2);
  REQUIRE(p.location_size() == 3);
  for (const int i : {1, 2}) {
    const auto& location = p.location(i);
    CHECK(location.address() == 0);
    CHECK(location.mapping_id() == 0);
    REQUIRE(location.line_size() == 1);
    CHECK(location.line(0).line() == 11 + i);
    const auto& function = p.function(static_cast<int>(location.line(0).function_id()) - 1);
    CHECK(text(p, function.name()) == "shop.total");
    CHECK(text(p, function.system_name()) == "total");
    CHECK(text(p, function.filename()) == "/srv/shop.py");
    CHECK(function.start_line() == 10);
  }
  std::vector<std::string> labels;
  for (const auto& sample : p.sample())
    for (const auto& label : sample.label())
      if (text(p, label.key()) == "gil" || text(p, label.key()) == "holder")
        labels.push_back(text(p, label.str()));
  CHECK(labels == std::vector<std::string>{"released", "shop.total", "awaited"});
}

TEST_CASE("siprof's own frames go, unnamed ones stay and are counted, empty stacks are [unknown]") {
  FakeFrames frames = make_frames();
  Window window = make_window();
  const Module own{.path = "/x/libsiprof.so"};
  window.samples.push_back(make_sample({{&own, 0x10}, {&kLibrary, 0x1100}, {&kApp, 0x1020}}, {1, 10}));
  window.samples.push_back(make_sample({{&own, 0x10}}, {1, 10}));
  window.samples.push_back(make_sample({{nullptr, 0x99}}, {1, 10}, 21));
  window.samples.push_back(make_sample({{nullptr, 0x99}}, {1, 10}, 22));
  const BuildOptions options{.is_own = [&](const CodeAddress& code) { return code.module == &own; }};
  const Profile p = build_profiles(window, frames, options).at(0);
  CHECK(check_strict(p) == absl::OkStatus());
  CHECK(window.counters == Counters{{"unsymbolized", 1}});
  REQUIRE(p.mapping_size() == 2);
  CHECK_FALSE(p.mapping(1).has_functions());
  CHECK(p.sample(0).location_id_size() == 2);
  std::vector<std::string> names;
  for (const auto& f : p.function()) names.push_back(text(p, f.name()));
  CHECK(names == std::vector<std::string>{"main", "[unknown]", "jit_21", "jit_22"});
  for (const std::string& string : p.string_table()) CHECK(string.find("libsiprof") == std::string::npos);
}

TEST_CASE("who held the lock is a label of names, leaf first, without siprof's own, of at most 1 KiB") {
  FakeFrames frames = make_frames();
  const Module own{.path = "/lib/libsiprof.so"};
  Window window = make_window(Kind::kLock);
  const Stack waiter = {{&kApp, 0x1030}};
  window.samples.push_back(make_sample(waiter, {1, 100}));
  window.samples.back().holder =
      std::make_shared<const Stack>(Stack{{&own, 0x10}, {&kApp, 0x1010}, {&kLibrary, 0x1234}});
  window.samples.push_back(make_sample(waiter, {1, 100}));
  window.samples.back().holder = std::make_shared<const Stack>(200, CodeAddress{&kApp, 0x1030});
  window.samples.push_back(make_sample(waiter, {1, 100}));
  BuildOptions options;
  options.is_own = [&own](const CodeAddress& code) { return code.module == &own; };
  const Profile p = build_profiles(window, frames, options)[0];
  CHECK(check_strict(p) == absl::OkStatus());
  std::vector<std::string> holders;
  for (const auto& sample : p.sample()) {
    holders.emplace_back();
    for (const auto& label : sample.label()) {
      if (text(p, label.key()) == "holder") holders.back() = text(p, label.str());
    }
  }
  REQUIRE(holders.size() == 3);
  CHECK(holders[0] == "big();main;libfoo.so+0x1234");
  CHECK(holders[1].starts_with("small();small();"));
  CHECK(holders[1].ends_with(";small()"));
  CHECK(holders[1].size() <= 1024);
  CHECK(holders[1].size() > 1000);
  CHECK(holders[2].empty());
}

TEST_CASE("values that receivers wouldn't add up any more go into several profiles") {
  FakeFrames frames = make_frames();
  Window window = make_window(Kind::kLock);
  for (int i = 0; i < 5; ++i)
    window.samples.push_back(make_sample({{&kApp, 0x1030}}, {1, kMostTotal / 2}, 7, i));
  const std::vector<Profile> profiles = build_profiles(window, frames, {});
  REQUIRE(profiles.size() == 3);
  for (const Profile& p : profiles) {
    std::int64_t total = 0;
    for (const auto& sample : p.sample()) total += sample.value(1);
    CHECK(total <= kMostTotal);
  }
}

TEST_CASE("a window beyond a limit becomes several profiles, counters in the first alone") {
  FakeFrames frames = make_frames();
  Window window = make_window();
  for (int i = 0; i < 2500; ++i) window.samples.push_back(make_sample({{&kApp, 0x1030}}, {1, 2}, 7, i));
  window.counters = {{"taken", 2500}};
  const std::vector<Profile> profiles = build_profiles(window, frames, {.max_samples = 1000});
  REQUIRE(profiles.size() == 3);
  int samples = 0;
  for (const Profile& p : profiles) {
    CHECK(check_strict(p) == absl::OkStatus());
    CHECK(text(p, p.mapping(0).filename()) == "/bin/app");
    samples += p.sample_size();
  }
  CHECK(samples == 2500);
  CHECK(profiles[0].comment_size() == 1);
  CHECK(profiles[1].comment_size() == 0);
}

TEST_CASE("no profile is larger than the limit, however long and dirty the names are") {
  FakeFrames frames;
  Window window = make_window();
  for (std::uint64_t i = 0; i < 3000; ++i) {
    std::string name = std::to_string(i) + std::string(i % 3000, '\xff');
    frames.known[{&kApp, i}] = {{name, name, "/f" + name, 1, 1}};
    window.samples.push_back(make_sample({{&kApp, i}}, {1, 2}));
  }
  window.counters = {{"taken", 3000}};
  const std::size_t limit = 512 * 1024;
  const std::vector<Profile> profiles = build_profiles(window, frames, {.max_bytes = limit});
  CHECK(profiles.size() > 5);
  CHECK(profiles.size() < 40);
  int samples = 0;
  for (const Profile& p : profiles) {
    CHECK(p.ByteSizeLong() <= limit);
    CHECK(check_strict(p) == absl::OkStatus());
    samples += p.sample_size();
  }
  CHECK(samples == 3000);
}

TEST_CASE("names become UTF-8 of at most 1 KiB and stay distinct") {
  CHECK(presentable("g\xC3\xBC"
                    "n") ==
        "g\xC3\xBC"
        "n");
  CHECK(presentable("a\xFF"
                    "b") ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(presentable("\xED\xA0\x80") != "\xED\xA0\x80");  // a surrogate
  CHECK(presentable("\xC0\xAF") != "\xC0\xAF");          // an overlong form
  const std::string a = presentable(std::string(5000, 'x') + "a"),
                    b = presentable(std::string(5000, 'x') + "b");
  CHECK(a.size() == kMaxNameBytes);
  CHECK(a != b);
  CHECK(presentable(a) == a);
  std::string umlauts;
  for (int i = 0; i < 2000; ++i) umlauts += "\xC3\xBC";
  CHECK(presentable(umlauts).size() <= kMaxNameBytes);
  CHECK(presentable(presentable(umlauts)) == presentable(umlauts));
}

TEST_CASE("go tool pprof reads the file and agrees on the numbers") {
  if (std::system("command -v go >/dev/null") != 0) {
    WARN("go is missing (golang-go): not compared");
    return;
  }
  FakeFrames frames = make_frames();
  Window window = usual_window();
  const absl::StatusOr<std::string> bytes = pack_profile(build_profiles(window, frames, {}).at(0));
  REQUIRE(bytes.ok());
  char folder[] = "/tmp/siprof-pprof-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::string file = std::string(folder) + "/cpu.pb.gz";
  REQUIRE(write_file_atomically(file, *bytes).ok());
  const std::string go = "HOME=" + std::string(folder) + " GOCACHE=" + folder + "/go go tool pprof ";
  const std::string top = output_of(go + "-top " + file + " 2>&1");
  INFO(top);
  CHECK(top.find("Type: cpu") != std::string::npos);
  CHECK(top.find("700ms 70.00% 70.00%      700ms 70.00%  big") != std::string::npos);
  CHECK(top.find("100%  main") != std::string::npos);
  const std::string raw = output_of(go + "-raw " + file + " 2>&1");
  INFO(raw);
  CHECK(raw.find("siprof.taken=100") != std::string::npos);
  CHECK(raw.find("samples/count cpu/nanoseconds[dflt]") != std::string::npos);
  CHECK(raw.find("thread:[worker]") != std::string::npos);
  CHECK(std::system(("rm -r " + std::string(folder)).c_str()) == 0);
}

}  // namespace siprof::client
