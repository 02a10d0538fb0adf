// SPDX-License-Identifier: Apache-2.0
// Uses known amounts of what metrics tell of: MIB of touched memory, DESCRIPTORS more open files, THREADS
// threads that nap, bytes on disk. Holds all of it for MS while it burns CPU time, and notes the kernel's own
// sums as it ends. Its threads stay to the end.
#include <string.h>
#include <sys/mman.h>

#include <string>
#include <thread>

#include "test/preload/victims/victim.h"

namespace {

constexpr int kNaps = 200;
constexpr size_t kFileBytes = 8 << 20;

int64_t statm_bytes(int field) {
  FILE* file = fopen("/proc/self/statm", "re");
  long long pages[2] = {};
  victim::require(file != nullptr && fscanf(file, "%lld %lld", &pages[0], &pages[1]) == 2, "statm");
  fclose(file);
  return pages[field] * sysconf(_SC_PAGESIZE);
}

int64_t written_bytes() {
  FILE* file = fopen("/proc/self/io", "re");
  victim::require(file != nullptr, "io");
  long long bytes = -1;
  char line[128];
  while (fgets(line, sizeof line, file) != nullptr) {
    if (sscanf(line, "write_bytes: %lld", &bytes) == 1) break;
  }
  fclose(file);
  return bytes;
}

void touch(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  victim::require(memory != MAP_FAILED, "mmap");
  madvise(memory, bytes, MADV_NOHUGEPAGE);  // a fault a page
  for (size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
}

void write_file() {
  const std::string path = std::string(getenv("VICTIM_FOLDER")) + "/written";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  victim::require(fd >= 0, "file");
  const std::string bytes(kFileBytes, 'x');
  victim::require(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
  fsync(fd);
  close(fd);
}

void nap() {
  for (int i = 0; i < kNaps; ++i) usleep(1000);
  for (;;) pause();
}

}  // namespace

int main(int, char** argv) {
  const size_t mib = strtoul(argv[1], nullptr, 10);
  const int descriptors = atoi(argv[2]);
  const int threads = atoi(argv[3]);
  const int ms = atoi(argv[4]);
  touch(mib << 20);
  for (int i = 0; i < descriptors; ++i) victim::require(open("/dev/null", O_RDONLY) >= 0, "open");
  for (int i = 0; i < threads; ++i) std::thread(nap).detach();
  write_file();
  victim::burn_ms(ms);
  victim::note_fact("pid", getpid());
  victim::note_fact("rss", statm_bytes(1));
  victim::note_fact("virtual", statm_bytes(0));
  victim::note_fact("written", written_bytes());
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  victim::note_fact("user_us", int64_t{used.ru_utime.tv_sec} * 1'000'000 + used.ru_utime.tv_usec);
  victim::note_fact("system_us", int64_t{used.ru_stime.tv_sec} * 1'000'000 + used.ru_stime.tv_usec);
  victim::note_fact("minor", used.ru_minflt);
  victim::note_fact("major", used.ru_majflt);
  victim::note_fact("voluntary", used.ru_nvcsw);
  puts("held");
  return 0;
}
