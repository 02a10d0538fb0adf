// SPDX-License-Identifier: Apache-2.0
#include "shim/core/sampler.h"

#include "shim/base/arch.h"

namespace siprof::shim {
namespace {

// splitmix64: any state does, also consecutive ones.
SIPROF_SIGNAL_SAFE std::uint64_t next_random(ThreadState& thread) {
  if (thread.random == 0) {
    thread.random =
        cycle_counter() ^ std::uint64_t{thread.serial} << 48 ^ reinterpret_cast<std::uint64_t>(&thread) << 16;
  }
  std::uint64_t z = thread.random += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

// -ln(x) for x in (0, 1], exact to 1e-9: libm isn't ours to need. By the exponent, and for the mantissa
// m in [sqrt(1/2), sqrt(2)) by the series of 2 artanh((m - 1) / (m + 1)).
SIPROF_SIGNAL_SAFE double negative_log(double x) {
  std::uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  auto exponent = static_cast<std::int64_t>(bits >> 52 & 0x7ff) - 1023;
  bits = (bits & 0xfffffffffffff) | 0x3ff0000000000000;
  double mantissa;
  __builtin_memcpy(&mantissa, &bits, sizeof mantissa);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  const double s2 = s * s;
  const double series =
      2 * s * (1 + s2 * (1.0 / 3 + s2 * (1.0 / 5 + s2 * (1.0 / 7 + s2 * (1.0 / 9 + s2 / 11)))));
  return -(static_cast<double>(exponent) * 0.6931471805599453 + series);
}

}  // namespace

std::int64_t draw_distance(ThreadState& thread, std::uint64_t mean) {
  if (mean <= 1) return 0;
  // In (0, 1]: 53 random bits, and never 0.
  const double uniform = (static_cast<double>(next_random(thread) >> 11) + 1) * 0x1p-53;
  const double distance = negative_log(uniform) * static_cast<double>(mean);
  return distance < 0x1p60 ? static_cast<std::int64_t>(distance) : std::int64_t{1} << 60;
}

}  // namespace siprof::shim
