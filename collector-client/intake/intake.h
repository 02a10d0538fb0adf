// SPDX-License-Identifier: Apache-2.0
// What samples of a kind mean: from the values of a record (shim/probe/KIND.h) to values and labels of the
// kind's profile. One file a kind; all are in the table of intakes.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "collector-client/aggregate/aggregator.h"
#include "collector-client/drain/chunk_reader.h"
#include "collector-client/drain/shared_pool.h"
#include "collector-client/python/functions.h"
#include "collector-client/unwind/module_cache.h"
#include "proto/siprof/rates.h"
#include "proto/siprof/shared_memory.h"

namespace siprof::client {

// Where an intake's results go: into its process's series.
class IntakeOutput {
 public:
  IntakeOutput(Aggregator& aggregator, const std::shared_ptr<const Series>& series, Kind kind)
      : aggregator_(aggregator), series_(series), kind_(kind) {}

  void add(const SampleView& sample) { aggregator_.add(series_, kind_, sample); }
  void count(std::string_view name, std::uint64_t amount) { aggregator_.count(series_, kind_, name, amount); }
  void state(std::string_view name, std::uint64_t value) { aggregator_.state(series_, kind_, name, value); }

 private:
  Aggregator& aggregator_;
  const std::shared_ptr<const Series>& series_;
  Kind kind_;
};

// Of one process. The agent's thread.
class Intake {
 public:
  virtual ~Intake() = default;

  virtual Kind kind() const = 0;
  // `sample` has its stack, process and thread; values and labels are this intake's to fill in. The record is
  // hostile: numbers are bounded here.
  virtual void take(const RawSample& record, SampleView sample, IntakeOutput& out) = 0;
  // Before a window is cut, and when the process has ended. `rates` are those in force.
  virtual void account(const Rates& rates, IntakeOutput& out) = 0;
  // After the last record and account() of a process that has ended: what there is left to say.
  virtual void finish(IntakeOutput&) {}
};

// What intakes may look at besides records.
struct IntakeSources {
  const SharedPool& pool;
  ModuleCache& modules;
  PythonFunctions& functions;
  const Rates& rates;         // that are in force, whenever it is read
  std::uint64_t process = 0;  // whose they are: SampleView::process
  pid_t pid = 0;
};

// One process's.
class Intakes {
 public:
  explicit Intakes(const IntakeSources& sources);

  // All that take samples of the kind.
  std::span<Intake* const> of(EventKind event) const { return by_event_[static_cast<std::size_t>(event)]; }
  const std::vector<std::unique_ptr<Intake>>& all() const { return all_; }

 private:
  std::vector<std::unique_ptr<Intake>> all_;
  std::array<std::vector<Intake*>, kEventKinds> by_event_;
};

std::unique_ptr<Intake> make_cpu_intake(const IntakeSources& sources);
std::unique_ptr<Intake> make_wall_intake(const IntakeSources& sources);
std::unique_ptr<Intake> make_lock_intake(const IntakeSources& sources);
std::unique_ptr<Intake> make_heap_intake(const IntakeSources& sources);
std::unique_ptr<Intake> make_errors_intake(const IntakeSources& sources);
std::unique_ptr<Intake> make_io_intake(const IntakeSources& sources);

// Samples that found no room in the shared memory: those that come next stand for them too, a few each, so
// that no stack has the weight of a whole pause.
class LostShare {
 public:
  // How many samples this one is, itself included.
  double take(const EventHead& head) {
    owed_ += head.flags >> kLostShift;
    const std::uint64_t paid = std::min(owed_, 1 + owed_ / 64);
    owed_ -= paid;
    return static_cast<double>(1 + paid);
  }

 private:
  std::uint64_t owed_ = 0;
};

// Of one value of one sample: numbers and weights come from the process, and the sum of a window has to fit.
inline constexpr double kMostValue = 0x1p52;

// Rounded, and from 0 to kMostValue.
inline std::int64_t bounded(double value) {
  return std::llround(std::clamp(value, 0.0, kMostValue));
}

// Whole ones of what samples stand for; what is cut off goes to the next ones.
class WholeParts {
 public:
  std::int64_t take(double value) {
    owed_ = std::min(owed_ + value, kMostValue);
    const double whole = std::floor(owed_);
    owed_ -= whole;
    return static_cast<std::int64_t>(whole);
  }

 private:
  double owed_ = 0;
};

// An event of this size was chosen with the probability 1 - exp(-size / mean): of how many it is one, at
// least 1. `mean` 0 or 1: each is chosen.
double inverse_probability(double size, double mean);

}  // namespace siprof::client
