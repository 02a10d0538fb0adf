// SPDX-License-Identifier: Apache-2.0
// The HTTP port's threads: as many as there are connections, up to a bound.
#include "collector/http/worker_pool.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace siprof::collector::test {
namespace {

// Until `true_at_last`, but no longer than a slow machine needs.
template <typename Condition>
bool soon(Condition true_at_last) {
  for (int i = 0; i < 1000 && !true_at_last(); ++i) absl::SleepFor(absl::Milliseconds(10));
  return true_at_last();
}

TEST_CASE("tasks that block keep none waiting below the bound") {
  WorkerPool pool({.threads = 50});
  absl::Notification go;
  std::atomic<int> running{0};
  for (int i = 0; i < 50; ++i)
    pool.enqueue([&] {
      ++running;
      go.WaitForNotification();
    });
  CHECK(soon([&] { return running == 50; }));
  CHECK(pool.thread_count() == 50);
  go.Notify();
  pool.shutdown();
}

TEST_CASE("at the bound tasks wait, and each is run, also at the end") {
  WorkerPool pool({.threads = 2});
  absl::Notification go;
  std::atomic<int> started{0}, done{0};
  for (int i = 0; i < 20; ++i)
    pool.enqueue([&] {
      ++started;
      go.WaitForNotification();
      ++done;
    });
  CHECK(soon([&] { return started == 2; }));
  CHECK(pool.thread_count() == 2);
  go.Notify();
  pool.shutdown();
  CHECK(done == 20);
}

TEST_CASE("who adds a task waits while too many wait already") {
  WorkerPool pool({.threads = 1, .max_waiting = 1});
  absl::Notification go, added;
  std::atomic<int> done{0};
  const auto task = [&] {
    go.WaitForNotification();
    ++done;
  };
  std::thread adding([&] {
    for (int i = 0; i < 3; ++i) pool.enqueue(task);
    added.Notify();
  });
  CHECK_FALSE(added.WaitForNotificationWithTimeout(absl::Milliseconds(100)));
  go.Notify();
  adding.join();
  pool.shutdown();
  CHECK(done == 3);
}

TEST_CASE("a thread without work ends, one with short pauses is used again") {
  WorkerPool pool({.threads = 8, .idle = absl::Milliseconds(300)});
  for (int i = 0; i < 20; ++i) {
    absl::Notification done;
    pool.enqueue([&] { done.Notify(); });
    done.WaitForNotification();
    absl::SleepFor(absl::Milliseconds(2));  // until it waits again
  }
  CHECK(pool.thread_count() <= 2);
  CHECK(soon([&] { return pool.thread_count() == 0; }));
  std::atomic<bool> again{false};
  pool.enqueue([&] { again = true; });
  CHECK(soon([&] { return again.load(); }));
  pool.shutdown();
}

}  // namespace
}  // namespace siprof::collector::test
