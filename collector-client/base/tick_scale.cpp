// SPDX-License-Identifier: Apache-2.0
#include "collector-client/base/tick_scale.h"

#include <time.h>

#include <fstream>

namespace siprof::client {
namespace {

constexpr std::uint64_t kFirstNs = 20'000'000;  // 1e-5 exact by then
constexpr std::uint64_t kLastNs = 1'000'000'000;

std::uint64_t clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t counter() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

}  // namespace

TickScale::TickScale(const std::string& clock_source) {
  std::string name;
  std::ifstream(clock_source) >> name;
  usable_ = name == "tsc" && counter() != 0;
  if (usable_) begin_ = now();
}

// The clock's reading between two of the counter's that lie close together: nothing came in between.
TickScale::Moment TickScale::now() {
  Moment best{};
  std::uint64_t closest = ~std::uint64_t{0};
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t before = counter();
    const std::uint64_t ns = clock_ns();
    const std::uint64_t after = counter();
    if (after - before >= closest) continue;
    closest = after - before;
    best = {before + closest / 2, ns};
  }
  return best;
}

std::uint64_t TickScale::get() {
  if (!usable_ || settled_) return scale_;
  const Moment end = now();
  const std::uint64_t ns = end.ns - begin_.ns;
  if (ns < kFirstNs || end.ticks <= begin_.ticks) return scale_;
  scale_ =
      static_cast<std::uint64_t>((static_cast<unsigned __int128>(ns) << 32) / (end.ticks - begin_.ticks));
  settled_ = ns >= kLastNs;
  return scale_;
}

std::uint64_t tick_scale() {
  static TickScale scale("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  return scale.get();
}

}  // namespace siprof::client
