// SPDX-License-Identifier: Apache-2.0
// Wrappers of locks that a thread holds: mutexes, read-write locks, C11's. A try comes first:
// if it succeeds the lock would have, without a wait, and no clock is read. Where the lock looks at its
// arguments before it looks whether it is free, ours do so too. Compiled with -fexceptions: see
// wrap_waits.cpp.
#include <errno.h>

#include "shim/probe/lock.h"
#include "shim/real.h"

using namespace siprof;
using namespace siprof::shim;

namespace {

// The try of a kind of lock. Before glibc 2.34 it is in libpthread, which not every program has.
template <typename Lock, const char* kName>
class TryLock {
 public:
  using Function = int(Lock*);

  // Null: not looked for yet.
  Function* known() const { return address_.load(std::memory_order_relaxed); }
  Function* find() {
    if (Function* address = known()) return address;
    auto* address = reinterpret_cast<Function*>(next_definition(kName));
    if (address == nullptr) address = [](Lock*) { return -1; };
    address_.store(address, std::memory_order_relaxed);
    return address;
  }

 private:
  std::atomic<Function*> address_{nullptr};
};

constexpr char kTryMutex[] = "pthread_mutex_trylock";
constexpr char kTryRead[] = "pthread_rwlock_tryrdlock";
constexpr char kTryWrite[] = "pthread_rwlock_trywrlock";
constinit TryLock<pthread_mutex_t, kTryMutex> g_try_mutex;
constinit TryLock<pthread_rwlock_t, kTryRead> g_try_read;
constinit TryLock<pthread_rwlock_t, kTryWrite> g_try_write;

// What the lock would wait with: else it may be refused before it is tried.
bool is_valid(clockid_t clock, const timespec* until) {
  return (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC) && until != nullptr && until->tv_nsec >= 0 &&
         until->tv_nsec < 1'000'000'000;
}

// Of pthread_mutex_t::__data.__kind, which static initializers make part of the ABI.
constexpr int kRobust = 0x10;
constexpr int kInherits = 0x20;
constexpr int kProtects = 0x40;
constexpr int kElides = 0x100;

int kind_of(const pthread_mutex_t* mutex) {
  return __atomic_load_n(&mutex->__data.__kind, __ATOMIC_RELAXED);
}
// A try may come first.
__attribute__((always_inline)) inline bool is_plain(const pthread_mutex_t* mutex) {
  return SIPROF_LIKELY((kind_of(mutex) & (kRobust | kInherits | kProtects | kElides)) == 0);
}
__attribute__((always_inline)) inline bool is_plain(const void*) {
  return true;
}

// What C11's is in glibc; a try of it is longer.
static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && thrd_success == 0);
pthread_mutex_t* as_mutex(mtx_t* mutex) {
  return reinterpret_cast<pthread_mutex_t*>(mutex);
}

// Whether that can be told, as it is at this moment.
constexpr bool can_seem_free(const pthread_mutex_t*) {
  return true;
}
constexpr bool can_seem_free(const void*) {
  return false;
}
bool seems_free(const pthread_mutex_t* mutex) {
  constexpr int kHolder = 0x3fffffff;              // FUTEX_TID_MASK
  constexpr int kHolderBelowCeiling = 0x0007ffff;  // the ceiling is above
  const int state = __atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED);
  return (state & ((kind_of(mutex) & kProtects) != 0 ? kHolderBelowCeiling : kHolder)) == 0;
}
bool seems_free(const void*) {
  return false;
}

std::int32_t owner_of(const pthread_mutex_t* mutex) {
  return __atomic_load_n(&mutex->__data.__owner, __ATOMIC_RELAXED);
}
std::int32_t owner_of(const pthread_rwlock_t* lock) {
  return __atomic_load_n(&lock->__data.__cur_writer, __ATOMIC_RELAXED);
}

constexpr LockType type_of(const pthread_rwlock_t*) {
  return LockType::kRwlock;
}
constexpr LockType type_of(const void*) {
  return LockType::kMutex;
}

// Most locks that two running threads want at once are free again before one of them could note that it
// waits, let alone sleep: without this look threads in a convoy would be half as fast. False: it is still
// taken.
template <typename Try, typename Lock>
bool comes_free(Try& try_lock, Lock* lock, const Stopwatch& watch) {
  constexpr std::uint64_t kLongestNs = 2'000;  // a thread that sleeps and is woken costs more
  constexpr int kMostPauses = 128;
  if (!can_seem_free(lock)) return false;
  // Longer and longer ones: each look takes the lock's cache line from the thread that has it.
  for (int pauses = 4; elapsed_ns(watch) < kLongestNs; pauses = pauses < kMostPauses ? 2 * pauses : pauses) {
    for (int i = 0; i < pauses; ++i) relax();
    if (seems_free(lock) && try_lock.find()(lock) == 0) return true;
  }
  return false;
}

// After a try that didn't get the lock.
template <typename Try, typename Lock, typename Call>
__attribute__((noinline)) int lock_slowly(Try& try_lock, int tried, Lock* lock, Call call) {
  if (tried != EBUSY) return call();  // it has failed, and the lock says how
  const Stopwatch watch = start_stopwatch();
  const std::int32_t owner = owner_of(lock);
  if (is_plain(lock) && comes_free(try_lock, lock, watch)) {
    note_short_wait(type_of(lock), lock, owner, elapsed_ns(watch));
    return 0;
  }
  const LockWait wait = begin_lock_wait(type_of(lock), lock, owner_of(lock), elapsed_ns(watch));
  const int result = call();
  end_lock_wait(wait);
  return result;
}

template <typename Try, typename Lock, typename Call>
__attribute__((noinline)) int lock_otherwise(Try& try_lock, Lock* lock, Call call) {
  if (!is_plain(lock)) return seems_free(lock) ? call() : lock_slowly(try_lock, EBUSY, lock, call);
  const int tried = try_lock.find()(lock);
  return tried == 0 ? 0 : lock_slowly(try_lock, tried, lock, call);
}

// The fast way: some tests, the try, another test.
template <typename Try, typename Lock, typename Call>
__attribute__((always_inline)) inline int lock_by(Try& try_lock, Lock* lock, Call call) {
  if (!lock_is_on()) return call();
  auto* known = try_lock.known();
  if (SIPROF_UNLIKELY(known == nullptr || !is_plain(lock))) return lock_otherwise(try_lock, lock, call);
  const int tried = known(lock);
  if (SIPROF_LIKELY(tried == 0)) return 0;
  return lock_slowly(try_lock, tried, lock, call);
}

template <typename Next, typename Lock>
__attribute__((noinline)) int unlock_otherwise(Next& unlock, Lock* lock, const void* caller) {
  if (!may_be_waited_for(lock)) return unlock(lock);
  const LockUnlock noted = begin_unlock(lock, caller);
  const int result = unlock(lock);
  if (result == 0) end_unlock(noted);
  return result;
}

template <typename Next, typename Lock>
__attribute__((always_inline)) inline int unlock_by(Next& unlock, Lock* lock) {
  auto* known = unlock.known();
  if (SIPROF_UNLIKELY(may_be_waited_for(lock) || known == nullptr))
    return unlock_otherwise(unlock, lock, __builtin_return_address(0));
  return known(lock);
}

}  // namespace

int siprof_pthread_mutex_lock(pthread_mutex_t* mutex) {
  return lock_by(g_try_mutex, mutex, [=] { return real::pthread_mutex_lock(mutex); });
}

int siprof_pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) {
  if (!is_valid(CLOCK_REALTIME, until)) return real::pthread_mutex_timedlock(mutex, until);
  return lock_by(g_try_mutex, mutex, [=] { return real::pthread_mutex_timedlock(mutex, until); });
}

int siprof_pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  if (!is_valid(clock, until)) return real::pthread_mutex_clocklock(mutex, clock, until);
  return lock_by(g_try_mutex, mutex, [=] { return real::pthread_mutex_clocklock(mutex, clock, until); });
}

int siprof_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  return unlock_by(real::pthread_mutex_unlock, mutex);
}

int siprof_pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  return lock_by(g_try_read, lock, [=] { return real::pthread_rwlock_rdlock(lock); });
}

int siprof_pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* until) {
  if (!is_valid(CLOCK_REALTIME, until)) return real::pthread_rwlock_timedrdlock(lock, until);
  return lock_by(g_try_read, lock, [=] { return real::pthread_rwlock_timedrdlock(lock, until); });
}

int siprof_pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* until) {
  if (!is_valid(clock, until)) return real::pthread_rwlock_clockrdlock(lock, clock, until);
  return lock_by(g_try_read, lock, [=] { return real::pthread_rwlock_clockrdlock(lock, clock, until); });
}

int siprof_pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  return lock_by(g_try_write, lock, [=] { return real::pthread_rwlock_wrlock(lock); });
}

int siprof_pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* until) {
  if (!is_valid(CLOCK_REALTIME, until)) return real::pthread_rwlock_timedwrlock(lock, until);
  return lock_by(g_try_write, lock, [=] { return real::pthread_rwlock_timedwrlock(lock, until); });
}

int siprof_pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* until) {
  if (!is_valid(clock, until)) return real::pthread_rwlock_clockwrlock(lock, clock, until);
  return lock_by(g_try_write, lock, [=] { return real::pthread_rwlock_clockwrlock(lock, clock, until); });
}

int siprof_pthread_rwlock_unlock(pthread_rwlock_t* lock) {
  return unlock_by(real::pthread_rwlock_unlock, lock);
}

int siprof_mtx_lock(mtx_t* mutex) {
  return lock_by(g_try_mutex, as_mutex(mutex), [=] { return real::mtx_lock(mutex); });
}

int siprof_mtx_timedlock(mtx_t* mutex, const timespec* until) {
  if (!is_valid(CLOCK_REALTIME, until)) return real::mtx_timedlock(mutex, until);
  return lock_by(g_try_mutex, as_mutex(mutex), [=] { return real::mtx_timedlock(mutex, until); });
}

int siprof_mtx_unlock(mtx_t* mutex) {
  return unlock_by(real::mtx_unlock, mutex);
}
