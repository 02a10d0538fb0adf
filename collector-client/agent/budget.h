// SPDX-License-Identifier: Apache-2.0
// Keeps what siprof costs a process within its budget: from what samples have cost so far follows how often
// they may be taken. The agent's thread, about once a second.
//
// The budget is a share of the CPU time that the program uses, or of a tenth of one CPU if it uses less: a
// program that sleeps is not to be starved of samples. Lowered are the rates of those kinds that cost, in
// steps of the square root of two, so that they don't change all the time; what they were asked for comes
// back when there is room. What isn't by the sample (the agent's turns, windows, unwind tables) can't be
// lowered: samples get what it leaves of the budget, and at least half.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "proto/siprof/rates.h"
#include "proto/siprof/shared_memory.h"

namespace siprof::client {

// Since the look before this one.
struct Spending {
  absl::Duration time;
  std::uint64_t app_cpu_ns = 0;    // of the program, handlers and hooks included
  std::uint64_t handler_ns = 0;    // ticks in it
  std::uint64_t hook_ns = 0;       // samples of other kinds in it
  std::uint64_t agent_cpu_ns = 0;  // the agent's, for this process
  std::uint64_t drain_ns = 0;      // of it on its samples
  std::array<std::uint64_t, kEventKinds> samples{};
};

class Budget {
 public:
  // None: rates stay as they are asked for.
  explicit Budget(std::optional<double> share) : share_(share) {}
  void set_share(std::optional<double> share);

  void look(const Spending& spending);

  // What may be in force of what is asked for.
  Rates within(const Rates& wanted) const;
  // What siprof cost at the last look, in thousandths of what the budget is a share of.
  std::uint64_t cost_permille() const { return cost_permille_; }
  std::uint64_t share_permille() const;

 private:
  enum Group : std::uint8_t { kTicks, kHeap, kBlock, kErrors, kGroups };
  static Group group_of(EventKind event);

  // Of one sample, over thousands: single measurements are far apart.
  struct UnitCost {
    double ns = 0;
    double samples = 0;
    void add(std::uint64_t more_ns, double more_samples);
    double of_one() const { return samples > 0 ? ns / samples : 0; }
  };

  std::optional<double> share_;
  UnitCost tick_;
  UnitCost hook_;
  UnitCost drain_;
  int rest_looks_ = 0;
  double rest_share_ = 0;             // what isn't by the sample, of what the budget is a share of
  std::array<int, kGroups> steps_{};  // rates are divided by sqrt(2) to this power
  std::uint64_t cost_permille_ = 0;
};

}  // namespace siprof::client
