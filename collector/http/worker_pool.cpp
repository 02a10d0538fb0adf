// SPDX-License-Identifier: Apache-2.0
#include "collector/http/worker_pool.h"

#include <utility>

namespace siprof::collector {

WorkerPool::WorkerPool(std::size_t threads, std::size_t max_waiting) : max_waiting_(max_waiting) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

void WorkerPool::enqueue(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return tasks_.size() < max_waiting_ || stopping_; });
  tasks_.push_back(std::move(task));
  changed_.notify_all();
}

// Every task is run: each one owns a connection that only it can close.
void WorkerPool::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::work() {
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !tasks_.empty() || stopping_; });
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    changed_.notify_all();
    lock.unlock();
    task();
  }
}

}  // namespace siprof::collector
