// SPDX-License-Identifier: Apache-2.0
// What an interpreter counts of itself becomes increases and levels.
#include <map>

#include "collector-client/metrics/metric_source.h"
#include "test/unit/collector-client/intake/fixtures.h"

namespace siprof::client {
namespace {

using testing::SharedMemory;

struct Interpreter {
  SharedMemory memory;
  IntakeSources sources = memory.sources();
  PythonSums& sums = memory.header().python_sums;
  std::unique_ptr<MetricSource> source = make_python_metrics({-1, sources.pool, Clock::system()});

  void collect(std::uint32_t generation, std::uint64_t collected, std::uint64_t pause_ns) {
    sums.generations[generation].count += 1;
    sums.generations[generation].collected += collected;
    sums.generations[generation].pause_ns += pause_ns;
  }
  // By name and label.
  std::map<std::string, double> report() {
    MetricOutput out(70);
    source->report(out);
    std::map<std::string, double> values;
    for (const MetricPoint& point : out.take())
      values[std::string(point.metric->name) + (point.label.empty() ? "" : " ") + point.label] = point.value;
    return values;
  }
};

TEST_CASE_METHOD(Interpreter, "a process without an interpreter has none of its metrics") {
  CHECK(report().empty());
}

TEST_CASE_METHOD(Interpreter, "collections are increases by generation") {
  sums.counted = 1;
  collect(0, 10, 1'000'000);
  collect(2, 5, 500'000'000);
  std::map<std::string, double> values = report();
  CHECK(values.at("cpython.gc.collections 0") == 1);
  CHECK(values.at("cpython.gc.collected_objects 0") == 10);
  CHECK(values.at("cpython.gc.collections 1") == 0);
  CHECK(values.at("cpython.gc.pause 2") == 0.5);
  CHECK(values.at("cpython.gc.uncollectable_objects 2") == 0);
  CHECK(values.count("cpython.modules") == 0);  // not known
  collect(2, 7, 0);
  values = report();
  CHECK(values.at("cpython.gc.collected_objects 2") == 7);
  CHECK(values.at("cpython.gc.collected_objects 0") == 0);
}

TEST_CASE_METHOD(Interpreter, "what was there before the agent counts for another one") {
  sums.counted = 1;
  collect(1, 100, 5);
  source = make_python_metrics({-1, sources.pool, Clock::system(), false});
  CHECK(report().at("cpython.gc.collected_objects 1") == 0);
  source = make_python_metrics({-1, sources.pool, Clock::system(), true});
  CHECK(report().at("cpython.gc.collected_objects 1") == 100);
}

TEST_CASE_METHOD(Interpreter,
                 "levels end with the interpreter, and are those of the end if the process ends") {
  sums.counted = 1;
  sums.modules = 70;
  sums.allocated_blocks = 30'000;
  CHECK(report().at("cpython.modules") == 70);
  sums.counted = 0;
  collect(0, 1, 0);
  SECTION("the process lives on") {
    const std::map<std::string, double> values = report();
    CHECK(values.count("cpython.modules") == 0);
    CHECK(values.at("cpython.gc.collections 0") == 1);
    CHECK(report().empty());
  }
  SECTION("it has ended") {
    source->look(Look::kLast);
    const std::map<std::string, double> values = report();
    CHECK(values.at("cpython.modules") == 70);
    CHECK(values.at("cpython.allocated_blocks") == 30'000);
  }
}

TEST_CASE_METHOD(Interpreter, "a number that goes backwards is no increase") {
  sums.counted = 1;
  collect(0, 10, 0);
  report();
  sums.generations[0].collected = 3;
  CHECK(report().at("cpython.gc.collected_objects 0") == 0);
}

}  // namespace
}  // namespace siprof::client
