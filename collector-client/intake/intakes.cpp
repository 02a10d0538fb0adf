// SPDX-License-Identifier: Apache-2.0
// The table of intakes.
#include <cmath>

#include "collector-client/intake/intake.h"

namespace siprof::client {
namespace {

struct Maker {
  std::unique_ptr<Intake> (*make)(const IntakeSources&);
  std::initializer_list<EventKind> events;  // that it takes
};
constexpr Maker kMakers[] = {
    {make_cpu_intake, {EventKind::kCpu}},
    {make_wall_intake, {EventKind::kWall, EventKind::kCpu}},
    {make_lock_intake, {EventKind::kLock, EventKind::kHolder}},
    {make_heap_intake, {EventKind::kHeap}},
    {make_errors_intake, {EventKind::kError}},
    {make_io_intake, {EventKind::kIo}},
};

}  // namespace

Intakes::Intakes(const IntakeSources& sources) {
  for (const Maker& maker : kMakers) {
    all_.push_back(maker.make(sources));
    for (const EventKind event : maker.events)
      by_event_[static_cast<std::size_t>(event)].push_back(all_.back().get());
  }
}

double inverse_probability(double size, double mean) {
  if (mean <= 1) return 1;
  return -1 / std::expm1(-std::max(size, 1e-9) / mean);
}

}  // namespace siprof::client
