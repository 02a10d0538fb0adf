// SPDX-License-Identifier: Apache-2.0
// What storm.cpp asks of its plugins, which are storm_plugin.cpp compiled several times.
#pragma once

#include <cstdint>

namespace victim {

inline constexpr int kPlugins = 8;

enum class Ending { kReturns, kCatchesItsOwn, kThrows };

// Burns `spins` rounds of arithmetic and gives back plugin_answer(); kThrows leaves by an exception instead.
using PluginCall = uint64_t(uint64_t seed, int spins, Ending ending);

constexpr uint64_t plugin_answer(int plugin, uint64_t seed, int spins) {
  const uint64_t step = 2 * static_cast<uint64_t>(plugin) + 3;
  return seed + step * static_cast<uint64_t>(spins);
}

}  // namespace victim
