// SPDX-License-Identifier: Apache-2.0
// Feeds the intake of runtime metrics with damaged messages: `metrics_intake_fuzz [--runs N] [--seed N]`.
// Bytes are cut, flipped and put in; fields get numbers and texts from the edges. What the intake accepts
// must keep its own rules, which are looked at here a second time. Run under ASan+UBSan for the rest. A
// failure prints the seed and the run that repeat it.
#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include "collector/ingest/metrics_intake.h"
#include "collector/ingest/utf8.h"
#include "test/collector/ingest_sample.h"

namespace siprof::collector {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <typename T, std::size_t N>
  T one_of(const T (&values)[N]) {
    return values[below(N)];
  }

 private:
  std::mt19937_64 engine_;
};

std::string text(Dice& dice) {
  static const std::string kTexts[] = {"",    "pid",      "process.memory.usage", "By",   "\xff",
                                       "a b", "\xc0\x80", std::string(1, '\0'),   "9",    "{fault}",
                                       "a\n", "17",       std::string(300, 'n'),  "größe"};
  return kTexts[dice.below(std::size(kTexts))];
}

double value(Dice& dice) {
  constexpr double kValues[] = {0,
                                -1,
                                0.5,
                                1e30,
                                1.1e30,
                                -1e30,
                                std::numeric_limits<double>::infinity(),
                                1e18,
                                5e-324,
                                4096,
                                std::numeric_limits<double>::quiet_NaN()};
  return dice.one_of(kValues);
}

std::int64_t time(Dice& dice, std::int64_t now_ns) {
  const std::int64_t times[] = {now_ns,
                                0,
                                -1,
                                now_ns - 10'000'000'000,
                                std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max(),
                                now_ns - 172'800'000'000'001};
  return times[dice.below(std::size(times))];
}

void change_point(v1::MetricPoint& point, Dice& dice, std::int64_t now_ns) {
  switch (dice.below(7)) {
    case 0:
      return point.set_name(text(dice));
    case 1:
      return point.set_unit(text(dice));
    case 2:
      return point.set_value(value(dice));
    case 3:
      return point.set_type(static_cast<v1::MetricPoint::Type>(dice.below(5)));
    case 4:
      return point.set_time_unix_nanos(time(dice, now_ns));
    case 5:
      return point.set_start_unix_nanos(time(dice, now_ns));
    default:
      (*point.mutable_labels())[text(dice)] = text(dice);
  }
}

void change(v1::Metrics& metrics, Dice& dice, std::int64_t now_ns) {
  const auto points = static_cast<std::size_t>(metrics.points_size());
  if (points == 0 || dice.one_in(12)) {
    if (dice.one_in(2)) metrics.set_sequence(dice.below(3));
    (*metrics.mutable_attributes())[dice.one_in(2) ? "service.name" : text(dice)] = text(dice);
  } else if (dice.one_in(12)) {
    metrics.mutable_points()->RemoveLast();
  } else if (dice.one_in(12)) {
    *metrics.add_points() = metrics.points(static_cast<int>(dice.below(points)));
  } else {
    change_point(*metrics.mutable_points(static_cast<int>(dice.below(points))), dice, now_ns);
  }
}

v1::Metrics damaged(Dice& dice, const v1::Metrics& sample, std::int64_t now_ns) {
  v1::Metrics metrics = sample;
  if (dice.one_in(3)) {
    std::string bytes = metrics.SerializeAsString();
    for (std::size_t steps = 1 + dice.below(4); steps > 0 && !bytes.empty(); --steps) {
      const std::size_t at = dice.below(bytes.size());
      if (dice.one_in(4))
        bytes.resize(at);
      else if (dice.one_in(3))
        bytes.insert(at, 1, static_cast<char>(dice.below(256)));
      else
        bytes[at] = static_cast<char>(bytes[at] ^ (1u << dice.below(8)));
    }
    if (!metrics.ParseFromString(bytes)) {
      (void)sequence_of_metrics(bytes);
      metrics = sample;
    }
  }
  for (std::size_t steps = dice.below(4); steps > 0; --steps) change(metrics, dice, now_ns);
  return metrics;
}

bool keeps_rules(const IncomingMetrics& taken, std::int64_t now_ns) {
  const auto service = taken.attributes.find("service.name");
  if (taken.sequence == 0 || service == taken.attributes.end() || service->second.empty()) return false;
  if (taken.duration_ns <= 0 || taken.duration_ns > 86'400'000'000'000 || taken.points.empty()) return false;
  if (taken.start_unix_ns < now_ns - 172'800'000'000'000 || taken.start_unix_ns > now_ns + 600'000'000'000)
    return false;
  std::set<std::tuple<std::string, std::map<std::string, std::string>>> seen;
  for (const MetricPoint& point : taken.points) {
    const bool counter = point.metric.type == MetricType::kCounter;
    if (!std::isfinite(point.value) || (counter && point.value < 0)) return false;
    if (point.metric.name.empty() || point.metric.name.find_first_of(" \n") != std::string::npos)
      return false;
    if (point.metric.unit.find_first_of(" \n") != std::string::npos) return false;
    for (const auto& [name, label] : point.labels)
      if (name.empty() || !is_utf8(name) || !is_utf8(label)) return false;
    if (!seen.emplace(point.metric.name, point.labels).second) return false;
  }
  return true;
}

int fuzz(std::uint64_t runs, std::uint64_t seed) {
  // It would write a line about each text that isn't UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  const absl::Time now = absl::Now();
  const std::int64_t now_ns = absl::ToUnixNanos(now);
  const v1::Metrics sample = sample_metrics(1);
  Dice dice(seed);
  std::uint64_t accepted = 0;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto taken = take_in(damaged(dice, sample, now_ns), "agent", {}, now);
    accepted += taken.ok();
    if (taken.ok() ? keeps_rules(*taken, now_ns) : !taken.status().message().empty()) continue;
    std::fprintf(stderr, "wrong at run %lu of --seed %lu\n", run, seed);
    return 1;
  }
  std::printf("%lu runs: %lu accepted, %lu refused\n", runs, accepted, runs - accepted);
  // Neither side of the intake may go untested.
  return accepted > runs / 100 && accepted < runs - runs / 100 ? 0 : 1;
}

}  // namespace
}  // namespace siprof::collector

int main(int argc, char** argv) {
  CLI::App app("Fuzzes the intake of runtime metrics.");
  std::uint64_t runs = 150'000;
  std::uint64_t seed = 1;
  app.add_option("--runs", runs, "how many inputs");
  app.add_option("--seed", seed, "where the random numbers start");
  CLI11_PARSE(app, argc, argv);
  return siprof::collector::fuzz(runs, seed);
}
