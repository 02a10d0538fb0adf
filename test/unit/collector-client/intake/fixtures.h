// SPDX-License-Identifier: Apache-2.0
// What tests of intakes share: memory as a process makes it, empty, with the process's own view of it, and
// what comes out of an intake.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "collector-client/intake/intake.h"
#include "collector-client/unwind/module_cache.h"

namespace siprof::client::testing {

class SharedMemory {
 public:
  SharedMemory() {
    const int fd = memfd_create("intake_test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, kBytes) == 0);
    memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(memory_ != MAP_FAILED);
    header().magic = kSharedMemoryMagic;
    header().version = kSharedMemoryVersion;
    header().max_chunks = 1;
    header().chunk_count = 1;
    REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    pool_ = *SharedPool::map(fd);
    close(fd);
  }
  ~SharedMemory() { munmap(memory_, kBytes); }

  SharedHeader& header() { return *static_cast<SharedHeader*>(memory_); }
  LiveSlot& live_slot(std::uint32_t index) {
    return reinterpret_cast<LiveSlot*>(static_cast<char*>(memory_) + kLiveSlotsOffset)[index];
  }
  IoBank& io_bank(std::uint32_t index) {
    return reinterpret_cast<IoBank*>(static_cast<char*>(memory_) + kIoBanksOffset)[index];
  }
  void count(Counter counter, std::uint64_t by) {
    header().counters[static_cast<std::uint32_t>(counter)] += by;
  }
  IntakeSources sources() { return {*pool_, modules_, functions, rates, 3, 70}; }
  PythonFunctions functions;
  Rates rates{100, kAllKinds, kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs, 1};  // in force

 private:
  static constexpr std::size_t kBytes = kSharedHeaderBytes + kChunkBytes;
  void* memory_;
  std::unique_ptr<SharedPool> pool_;
  ModuleCache modules_;
};

// One process's intake of a kind, and its windows.
class Taker {
 public:
  using Maker = std::unique_ptr<Intake>(const IntakeSources&);
  Taker(SharedMemory& memory, Maker* make)
      : memory_(memory), intake_(make(memory.sources())), out_(aggregator_, series_, intake_->kind()) {}

  void take(const RawSample& raw, const SampleView& view) { intake_->take(raw, view, out_); }
  void finish() { intake_->finish(out_); }
  // None: nothing was said.
  Window cut() {
    intake_->account(memory_.rates, out_);
    return cut_without_account();
  }
  Window cut_without_account() {
    std::vector<Window> windows = aggregator_.cut(absl::FromUnixSeconds(++seconds_));
    return windows.empty() ? Window{} : std::move(windows[0]);
  }
  Intake& intake() { return *intake_; }
  IntakeOutput& out() { return out_; }

 private:
  SharedMemory& memory_;
  std::unique_ptr<Intake> intake_;
  Aggregator aggregator_{absl::UnixEpoch()};
  std::shared_ptr<const Series> series_ = aggregator_.series({{"service.name", "a"}}, nullptr);
  IntakeOutput out_;
  int seconds_ = 0;
};

inline std::string text_of(const WindowSample& sample, const std::string& key) {
  for (const SampleLabel& label : sample.labels) {
    if (label.key == key) return label.text.empty() ? std::to_string(label.number) : label.text;
  }
  return "";
}

inline std::int64_t sum(const Window& window, std::size_t type) {
  std::int64_t total = 0;
  for (const WindowSample& sample : window.samples) total += sample.values[type];
  return total;
}

}  // namespace siprof::client::testing
