// SPDX-License-Identifier: Apache-2.0
// A week of one service in the embedded store: what writing a profile costs, how
// large it is on disk and how long each query takes. 20 000 distinct stacks 30
// deep, Zipf 1.05, 1000 samples a window (as in backends.md's measurement).
//
//   store_bench [--windows 60480] [--dir DIR]
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "collector/query/flame.h"
#include "collector/query/top.h"
#include "collector/store/sqlite/sqlite_reader.h"
#include "collector/store/sqlite/sqlite_store.h"

namespace siprof::collector {
namespace {

constexpr int kStacks = 20'000;
constexpr int kFunctions = 4'000;
constexpr int kDepth = 30;
constexpr int kSamples = 1'000;
constexpr std::int64_t kWindowNs = 10'000'000'000;
constexpr std::int64_t kEndNs = 1'700'000'000'000'000'000;

// Draws stacks with falling frequency and makes a window's profile of them.
class Windows {
 public:
  Windows() {
    std::vector<double> weights;
    for (int i = 1; i <= kStacks; ++i) weights.push_back(std::pow(i, -1.05));
    zipf_ = std::discrete_distribution<int>(weights.begin(), weights.end());
    for (int i = 0; i < kFunctions; ++i)
      names_.push_back(absl::StrCat("shop::module_", i % 97, "::function_", i, "(int)"));
    stacks_.resize(kStacks);
    for (int i = 0; i < kStacks; ++i) make_stack(i);
  }

  IncomingProfile next(std::int64_t start_ns, std::uint64_t sequence) {
    std::map<int, std::int64_t> counts;
    for (int i = 0; i < kSamples; ++i) ++counts[zipf_(random_)];
    IncomingProfile incoming;
    incoming.agent_id = "0123456789abcdef0123456789abcdef";
    incoming.sequence = sequence;
    incoming.kind = "cpu";
    incoming.start_unix_ns = start_ns;
    incoming.duration_ns = kWindowNs;
    incoming.attributes = {{"service.name", "shop"}, {"service.version", "1"}, {"host.name", "web-1"}};
    fill(counts, incoming.profile);
    return incoming;
  }

 private:
  // Related stacks share their outer half, as they do in programs.
  void make_stack(int index) {
    std::vector<int>& stack = stacks_[static_cast<std::size_t>(index)];
    if (index > 0) stack = stacks_[random_() % static_cast<std::size_t>(index)];
    stack.resize(index > 0 ? kDepth / 2 + random_() % (kDepth / 2) : 0);
    while (stack.size() < kDepth) stack.push_back(static_cast<int>(random_() % kFunctions));
  }

  void fill(const std::map<int, std::int64_t>& counts, perftools::profiles::Profile& profile) {
    std::map<int, std::uint64_t> locations;
    for (const char* text : {"", "samples", "count", "cpu", "nanoseconds", "/src/shop.cpp"})
      profile.add_string_table(text);
    for (const auto& [type, unit] : {std::pair{1, 2}, {3, 4}}) {
      profile.add_sample_type()->set_type(type);
      profile.mutable_sample_type(profile.sample_type_size() - 1)->set_unit(unit);
    }
    for (const auto& [stack, count] : counts) {
      auto* sample = profile.add_sample();
      const std::vector<int>& frames = stacks_[static_cast<std::size_t>(stack)];
      for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame)
        sample->add_location_id(location(*frame, locations, profile));
      sample->add_value(count);
      sample->add_value(count * 10'000'000);
    }
  }

  std::uint64_t location(int function, std::map<int, std::uint64_t>& known,
                         perftools::profiles::Profile& profile) {
    const auto [slot, fresh] = known.try_emplace(function, known.size() + 1);
    if (!fresh) return slot->second;
    auto* added = profile.add_function();
    added->set_id(slot->second);
    added->set_name(profile.string_table_size());
    profile.add_string_table(names_[static_cast<std::size_t>(function)]);
    added->set_filename(5);
    auto* location = profile.add_location();
    location->set_id(slot->second);
    auto* line = location->add_line();
    line->set_function_id(slot->second);
    line->set_line(function);
    return slot->second;
  }

  std::mt19937_64 random_{1};
  std::discrete_distribution<int> zipf_;
  std::vector<std::string> names_;
  std::vector<std::vector<int>> stacks_;
};

// Of this thread, so that a busy machine doesn't count.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <typename Work>
void timed(const char* what, Work work) {
  const double start = cpu_ms();
  work();
  std::printf("%-40s %9.1f ms of CPU\n", what, cpu_ms() - start);
}

bool write_batch(sqlite::SqliteStore& store, const std::vector<IncomingProfile>& batch) {
  for (const auto& result : store.write(batch)) {
    if (result.ok()) continue;
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    return false;
  }
  return true;
}

// The first half meets most stacks for the first time; the second is the steady state.
bool fill(sqlite::SqliteStore& store, int windows) {
  Windows source;
  double spent_ms = 0;
  std::vector<IncomingProfile> batch;
  for (int i = 0; i < windows; ++i) {
    if (i == windows / 2) {
      std::printf("write, first half %30.3f ms of CPU a profile\n", spent_ms / i);
      spent_ms = 0;
    }
    batch.push_back(source.next(kEndNs - (windows - i) * kWindowNs, static_cast<std::uint64_t>(i) + 1));
    if (batch.size() < 100 && i + 1 < windows) continue;
    const double start = cpu_ms();
    if (!write_batch(store, batch)) return false;
    spent_ms += cpu_ms() - start;
    batch.clear();
  }
  std::printf("write, second half %29.3f ms of CPU a profile\n", spent_ms / (windows - windows / 2));
  std::printf("size %43.1f bytes a profile\n", static_cast<double>(store.bytes()) / windows);
  return true;
}

void query(const sqlite::SqliteReader& reader, int windows) {
  Selection selection;
  selection.service = "shop";
  selection.kind = "cpu";
  selection.range = {kEndNs - windows * kWindowNs, kEndNs};
  MergedStacks stacks;
  timed("stacks, first time (reads the catalogue)", [&] { stacks = *reader.stacks(selection, "cpu"); });
  timed("stacks", [&] { stacks = *reader.stacks(selection, "cpu"); });
  timed("flame graph of them, 8192 nodes",
        [&] { make_flame(stacks, merge_by_name(stacks, 0), "shop", 8192); });
  timed("top of them", [&] { make_top(stacks, 0); });
  timed("series, 300 steps", [&] { (void)reader.totals(selection, "cpu", windows * kWindowNs / 300, ""); });
  timed("services", [&] { (void)reader.services(); });
}

}  // namespace
}  // namespace siprof::collector

int main(int argc, char** argv) {
  using namespace siprof::collector;
  CLI::App app("Measures the embedded store.");
  int windows = 7 * 8640;
  std::string dir = std::filesystem::temp_directory_path() / "siprof-store-bench";
  app.add_option("--windows", windows, "profiles, one every 10 s");
  app.add_option("--dir", dir, "folder; removed first");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::remove_all(dir);
  const auto tiers = parse_retention("10s=30d");
  auto store = sqlite::SqliteStore::open({dir, *tiers, 0, [] { return kEndNs; }});
  if (!store.ok() || !fill(**store, windows)) return 1;
  const auto reader = sqlite::SqliteReader::open(dir, tiers->front());
  if (!reader.ok()) return 1;
  query(**reader, windows);
  std::filesystem::remove_all(dir);
  return 0;
}
