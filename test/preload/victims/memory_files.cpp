// SPDX-License-Identifier: Apache-2.0
// Burns MS milliseconds of CPU and then counts the memory files that are mapped: without an agent there are
// none.
#include <cstring>
#include <fstream>
#include <string>

#include "test/preload/victims/victim.h"

int main(int argc, char** argv) {
  victim::burn_ms(argc > 1 ? atoi(argv[1]) : 2500);
  std::ifstream maps("/proc/self/maps");
  int files = 0;
  for (std::string line; std::getline(maps, line);) files += line.find("memfd:") != std::string::npos;
  printf("%d memory files\n", files);
}
