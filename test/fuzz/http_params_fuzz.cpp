// SPDX-License-Identifier: Apache-2.0
// Request targets, mutated from valid ones, through everything that reads
// parameters: query string, times, numbers, the API's routing. No network; the
// store is empty, so answers are quick. A crash, a hang or a broken rule fails.
//
//   http_params_fuzz [--runs N] [--seed S]
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "collector/http/answer.h"
#include "collector/http/api.h"
#include "collector/http/params.h"
#include "collector/http/query_string.h"

namespace siprof::collector {
namespace {

constexpr std::int64_t kNowNs = 1'700'000'000'000'000'000;

// Remembers whether what reaches a store is within the documented bounds.
class StrictReader final : public StoreReader {
 public:
  absl::StatusOr<std::vector<ServiceInfo>> services() const override { return std::vector<ServiceInfo>(); }
  absl::StatusOr<std::map<std::string, std::set<std::string>>> labels(const std::string&,
                                                                      TimeRange range) const override {
    check(range);
    return std::map<std::string, std::set<std::string>>();
  }
  absl::StatusOr<SeriesTotals> totals(const Selection& selection, const std::string&, std::int64_t step_ns,
                                      const std::string& by) const override {
    check(selection);
    if (step_ns < 10'000'000'000 || (selection.range.to_ns - selection.range.from_ns) / step_ns > 11'000)
      fail("a step out of bounds");
    if (!is_plain_text(by)) fail("by isn't text");
    return SeriesTotals();
  }
  absl::StatusOr<MergedStacks> stacks(const Selection& selection, const std::string&) const override {
    check(selection);
    return MergedStacks();
  }
  absl::StatusOr<std::vector<MetricName>> metric_names(const Selection& selection) const override {
    check(selection);
    return std::vector<MetricName>{{"process.memory.usage", "By", MetricType::kGauge},
                                   {"process.cpu.time", "s", MetricType::kCounter}};
  }
  // One window at each end of the range, so that charts are made of whatever range is asked for.
  absl::StatusOr<MetricHistory> metric_history(const Selection& selection, const std::string& name,
                                               const std::string& by) const override {
    check(selection);
    if (name.empty() || !is_plain_text(name)) fail("a wrong metric");
    if (!is_plain_text(by)) fail("by isn't text");
    MetricHistory history;
    if (name.size() % 2 == 0) return history;
    const TimeRange range = selection.range;
    history.metric = {name, "By", name.size() % 3 == 0 ? MetricType::kGauge : MetricType::kCounter};
    history.lines[by] = {{range.from_ns, range.from_ns + 1, 1},
                         {range.to_ns - 1, range.to_ns + 90'000'000'000, 2}};
    return history;
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "the store was asked with %s\n", what);
    std::abort();
  }
  static void check(TimeRange range) {
    if (range.from_ns < 0 || range.from_ns > range.to_ns) fail("a wrong range");
  }
  static void check(const Selection& selection) {
    check(selection.range);
    if (selection.service.empty() || !is_plain_text(selection.service)) fail("a wrong service");
    if (selection.kind.empty() || selection.kind.size() > 6) fail("a wrong kind");
    for (const auto& [label, values] : selection.matches)
      if (label.empty() || values.empty()) fail("a wrong match");
  }
};

const char* const kSeeds[] = {
    "services",
    "labels?service=shop&from=now-1h&to=now",
    "labels/service.version?service=shop",
    "series?service=shop&kind=cpu&type=cpu&from=1699990000&to=1700000000&step=60&by=host.name",
    "series?service=shop&from=2023-11-14T22:13:20Z&to=now&match=service.version=1.2&match=host.name%3Da",
    "flame?service=shop&nodes=8192&from=now-15m&type=samples",
    "top?service=shop&limit=100&sort=total&kind=heap",
    "metrics?service=shop&from=now-15m&match=pid=17",
    "metrics?service=shop&name=process.memory.usage&step=60&by=pid&match=host.name%3Da",
    "metrics?service=shop&name=process.cpu.time&from=now-1h&to=now-1m",
    "profile?service=%E2%82%AC+x&match=a%3Db&to=1700000000.123456789",
};

const char* const kPieces[] = {"%00",      "%",      "&",
                               "=",        "?",      "#",
                               "+",        "now-",   "99999999999999999999",
                               "-1",       "NaN",    "1e309",
                               "\xff\xfe", "%ff",    "../",
                               "&match=",  "&from=", "&step=",
                               "0",        "9",      "y",
                               "\n",       "&kind=", "infinite-future"};

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string next() {
    std::string text = kSeeds[below(std::size(kSeeds))];
    for (std::size_t steps = below(6); steps > 0; --steps) mutate(text);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void mutate(std::string& text) {
    const std::size_t at = below(text.size() + 1);
    switch (below(6)) {
      case 0:
        text.insert(at, 1, static_cast<char>(random_()));
        break;
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 2:
        text.erase(at, below(8));
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1u << below(8)));
        break;
      case 4:
        text.insert(at, text.substr(below(text.size() + 1), below(24)));
        break;
      default:
        if (below(50) == 0) text.insert(at, std::string(below(6000), 'a'));
        break;
    }
  }

  std::mt19937_64 random_;
};

void run_one(const Api& api, const std::string& target) {
  const absl::StatusOr<RawParams> params = params_of_target(target);
  if (!params.ok()) return;
  const absl::StatusOr<Answer> answer = api.get(target.substr(0, target.find('?')), *params);
  const bool allowed =
      answer.ok() || http_status(answer.status()) == 400 || http_status(answer.status()) == 404;
  const std::string body = answer.ok() ? answer->body : error_body(answer.status());
  if (allowed && nlohmann::json::accept(body)) return;
  std::fprintf(stderr, "wrong answer to %s: %s\n", target.c_str(), body.c_str());
  std::abort();
}

}  // namespace
}  // namespace siprof::collector

int main(int argc, char** argv) {
  using namespace siprof::collector;
  CLI::App app("Fuzzes the parameters of the HTTP API.");
  std::uint64_t runs = 300'000;
  std::uint64_t seed = 1;
  app.add_option("--runs", runs, "how many inputs");
  app.add_option("--seed", seed, "where the random numbers start");
  CLI11_PARSE(app, argc, argv);
  const StrictReader reader;
  const Api api(reader, [] { return kNowNs; });
  Mutator mutator(seed);
  for (std::uint64_t i = 0; i < runs; ++i) run_one(api, mutator.next());
  std::printf("%llu inputs\n", static_cast<unsigned long long>(runs));
  return 0;
}
