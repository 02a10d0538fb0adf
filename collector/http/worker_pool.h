// SPDX-License-Identifier: Apache-2.0
// The HTTP library's threads. A connection holds one for as long as it is open, also
// while it says nothing, so there are as many as there are connections, up to a
// bound: connections that idle or write slowly keep no one waiting. What work goes
// on at the same time is bounded by Api. Threads without work end.
//
// At the bound connections wait for a thread; when `max_waiting` do, accepting stops
// and further ones wait in the kernel's queue.
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "absl/time/time.h"

namespace siprof::collector {

class WorkerPool final : public httplib::TaskQueue {
 public:
  struct Limits {
    std::size_t threads = 512;
    std::size_t max_waiting = 256;
    absl::Duration idle = absl::Seconds(10);  // what a thread waits for its next task
  };

  explicit WorkerPool(Limits limits) : limits_(limits) {}
  // Context: the accepting thread.
  void enqueue(std::function<void()> task) override;
  void shutdown() override;
  // Those that have not ended yet.
  std::size_t thread_count() const;

 private:
  using Threads = std::list<std::thread>;

  void add_thread();
  void work(Threads::iterator self);

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable added_;    // a task, or stopping_
  std::condition_variable removed_;  // a task
  std::deque<std::function<void()>> tasks_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  Threads threads_;
  Threads ended_;  // to be joined
};

}  // namespace siprof::collector
