// SPDX-License-Identifier: Apache-2.0
#include "collector/http/worker_pool.h"

#include <spdlog/spdlog.h>
#include <system_error>
#include <utility>

namespace siprof::collector {

void WorkerPool::enqueue(std::function<void()> task) {
  Threads ended;
  {
    std::unique_lock lock(mutex_);
    removed_.wait(lock, [this] { return tasks_.size() < limits_.max_waiting || stopping_; });
    ended.swap(ended_);
    if (tasks_.size() >= idle_ && threads_.size() < limits_.threads) add_thread();
    if (!threads_.empty()) tasks_.push_back(std::exchange(task, nullptr));
  }
  added_.notify_one();
  for (std::thread& thread : ended) thread.join();
  if (task) task();  // not one thread is to be had: better late than never
}

// Context: mutex_ is held, so the thread doesn't look for itself before it is there.
void WorkerPool::add_thread() {
  const auto self = threads_.emplace(threads_.end());
  try {
    *self = std::thread([this, self] { work(self); });
  } catch (const std::system_error& error) {
    threads_.erase(self);
    spdlog::warn("HTTP connections have to wait, there are {} threads and no more to be had: {}",
                 threads_.size(), error.what());
  }
}

// Every task is run: each one owns a connection that only it can close.
void WorkerPool::shutdown() {
  Threads all;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    added_.notify_all();
    removed_.notify_all();
    removed_.wait(lock, [this] { return threads_.empty(); });
    all.swap(ended_);
  }
  for (std::thread& thread : all) thread.join();
}

std::size_t WorkerPool::thread_count() const {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

void WorkerPool::work(Threads::iterator self) {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    added_.wait_for(lock, absl::ToChronoMilliseconds(limits_.idle),
                    [this] { return !tasks_.empty() || stopping_; });
    --idle_;
    if (tasks_.empty()) break;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    removed_.notify_all();
    lock.unlock();
    task();
    lock.lock();
  }
  ended_.splice(ended_.end(), threads_, self);
  removed_.notify_all();
}

}  // namespace siprof::collector
