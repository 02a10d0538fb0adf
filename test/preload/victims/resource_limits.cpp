// SPDX-License-Identifier: Apache-2.0
// Sets one resource limit and works on: "fsize" and "fsize_hard" (SIGXFSZ stays deadly), "as" (address
// space), "mlock" (all future mappings resident), "nproc". Notes the resident size at the end.
#include <sys/mman.h>
#include <sys/resource.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

void limit(int what, rlim_t soft, rlim_t hard) {
  const rlimit value{soft, hard};
  victim::require(setrlimit(static_cast<__rlimit_resource>(what), &value) == 0, "setrlimit");
}

void set_limit(const char* what) {
  if (strcmp(what, "fsize") == 0) limit(RLIMIT_FSIZE, 0, RLIM_INFINITY);
  if (strcmp(what, "fsize_hard") == 0) limit(RLIMIT_FSIZE, 0, 0);
  if (strcmp(what, "as") == 0) limit(RLIMIT_AS, 200'000 * 1024, 200'000 * 1024);
  if (strcmp(what, "nproc") == 0) limit(RLIMIT_NPROC, 1, 1);
  if (strcmp(what, "data") == 0) limit(RLIMIT_DATA, 40'000 * 1024, 40'000 * 1024);
  if (strcmp(what, "mlock") == 0 && mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    perror("mlockall");
    exit(77);
  }
}

int64_t resident_bytes() {
  FILE* file = fopen("/proc/self/statm", "r");
  long size = 0, resident = 0;
  if (file == nullptr || fscanf(file, "%ld %ld", &size, &resident) != 2) victim::give_up("statm");
  fclose(file);
  return resident * int64_t{4096};
}

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "as";
  set_limit(what);
  victim::burn_ms(300);
  if (strcmp(what, "as") == 0) {
    // Most of what was left has to be there still, for the app.
    void* block = malloc(100 * 1024 * 1024);
    printf("100 MiB: %s\n", block != nullptr ? "yes" : "no");
    free(block);
  }
  if (strncmp(what, "fsize", 5) == 0) {
    FILE* file = tmpfile();
    signal(SIGXFSZ, SIG_IGN);
    if (file == nullptr || fputs("x", file) < 0 || fflush(file) == 0)
      puts("the limit has no effect");
    else
      printf("write: %s\n", strerror(errno));
  }
  victim::burn_ms(100);
  victim::note_fact("resident_bytes", resident_bytes());
  printf("%s done\n", what);
}
