// SPDX-License-Identifier: Apache-2.0
// Uses libc's own profiler (what gcc -pg does), whose histogram must hold its own ticks and no others.
#include <vector>

#include "test/preload/victims/victim.h"

int main() {
  victim::burn_ms(30);
  std::vector<unsigned short> histogram(1 << 20);
  const auto start = reinterpret_cast<size_t>(&victim::spin) & ~size_t{0xffff};
  victim::require(profil(histogram.data(), histogram.size() * sizeof(unsigned short), start, 65536) == 0,
                  "profil");
  victim::burn_ms(1000);
  profil(nullptr, 0, 0, 0);
  int ticks = 0;
  for (const unsigned short count : histogram) ticks += count;
  // 100 a second, of which a loaded machine may deliver fewer.
  printf("%s\n", ticks > 130 ? "too many ticks" : ticks > 40 ? "ticks of its own" : "too few ticks");
  victim::note_fact("ticks", ticks);
}
