// SPDX-License-Identifier: Apache-2.0
// Closes every descriptor it does not know, as sshd does, and then uses the numbers for its own sockets:
// not one byte may be stolen from them or put into them.
#include <sys/socket.h>
#include <cstring>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

constexpr int kPairs = 60;

void close_all(const char* how) {
  if (strcmp(how, "closefrom") == 0) closefrom(3);
  if (strcmp(how, "close_range") == 0) close_range(3, ~0u, 0);
  if (strcmp(how, "loop") == 0)
    for (int fd = 3; fd < 1024; ++fd) close(fd);
}

long echo(int64_t end_ns) {
  int pairs[kPairs][2];
  for (auto& pair : pairs) victim::require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  printf("the first descriptor is %d\n", pairs[0][0]);
  long wrong = 0;
  for (uint32_t round = 0; victim::thread_cpu_ns() < end_ns; ++round) {
    auto& pair = pairs[round % kPairs];
    uint32_t sent[4] = {round, ~round, round * 3, 42}, got[4] = {};
    victim::spin(round + 1);
    if (write(pair[0], sent, sizeof sent) != sizeof sent) ++wrong;
    if (recv(pair[1], got, sizeof got, MSG_DONTWAIT) != sizeof got) ++wrong;
    wrong += memcmp(sent, got, sizeof got) != 0;
    wrong += recv(pair[1], got, 1, MSG_DONTWAIT) != -1;
  }
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "closefrom";
  const bool early = argc > 2 && strcmp(argv[2], "early") == 0;
  if (!early) victim::burn_ms(100);
  close_all(how);
  printf("%ld wrong\n", echo(victim::thread_cpu_ns() + 1'500'000'000));
}
