// SPDX-License-Identifier: Apache-2.0
// What one look at a process's metrics costs the agent, by its number of threads: here of a child with so
// many.
//   build/test/bench/metrics_bench
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "collector-client/metrics/cgroups.h"
#include "collector-client/metrics/metric_source.h"
#include "collector-client/metrics/proc_files.h"

namespace siprof::client {
namespace {

class Child {
 public:
  explicit Child(std::int64_t threads) {
    int ready[2];
    if (pipe(ready) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      for (std::int64_t i = 1; i < threads; ++i) std::thread([] { pause(); }).detach();
      [[maybe_unused]] const ssize_t written = write(ready[1], "x", 1);
      for (;;) pause();
    }
    char done = 0;
    if (read(ready[0], &done, 1) != 1) abort();
    close(ready[0]);
    close(ready[1]);
    const std::string path = "/proc/" + std::to_string(pid_);
    proc_.reset(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  int proc_fd() const { return proc_.get(); }

 private:
  pid_t pid_ = -1;
  UniqueFd proc_;
};

std::unique_ptr<SharedPool> empty_pool() {
  const UniqueFd fd(memfd_create("metrics_bench", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  constexpr std::size_t kBytes = kSharedHeaderBytes + kChunkBytes;
  if (ftruncate(fd.get(), kBytes) != 0) abort();
  auto* header =
      static_cast<SharedHeader*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  header->magic = kSharedMemoryMagic;
  header->version = kSharedMemoryVersion;
  header->max_chunks = header->chunk_count = 1;
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) abort();
  return *SharedPool::map(fd.get());
}

void look(benchmark::State& state, Look how) {
  const Child child(state.range(0));
  const std::unique_ptr<SharedPool> pool = empty_pool();
  const auto sources = make_metric_sources({child.proc_fd(), *pool, Clock::system()});
  for (auto _ : state) {
    for (const auto& source : sources) source->look(how);
    if (how != Look::kWhole) continue;
    MetricOutput out(1);
    for (const auto& source : sources) source->report(out);
    benchmark::DoNotOptimize(out.take());
  }
}

void window_end(benchmark::State& state) {
  look(state, Look::kWhole);
}
void between(benchmark::State& state) {
  look(state, Look::kBetween);
}
BENCHMARK(window_end)->Arg(1)->Arg(4)->Arg(20)->Arg(200)->Arg(2000);
BENCHMARK(between)->Arg(1)->Arg(20)->Arg(2000);

void control_groups(benchmark::State& state) {
  ProcFolder self(open("/proc/self/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Cgroups cgroups;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cgroups.points_of(std::string(self.read("cgroup"))));
    cgroups.end_window();
  }
}
BENCHMARK(control_groups);

}  // namespace
}  // namespace siprof::client

BENCHMARK_MAIN();
