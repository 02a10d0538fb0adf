// SPDX-License-Identifier: Apache-2.0
// Wrappers of waits for what another thread does: conditions, semaphores, the end of a thread, barriers. Most
// are cancellation points: the unwinding of a cancelled thread passes through, so nothing here has a
// destructor, and the file is compiled with -fexceptions.
#include "shim/core/interruption.h"
#include "shim/probe/lock.h"
#include "shim/real.h"

// Which of libc's versions each wrapper stands for.
#define SIPROF_INTERPOSE(name, result, parameters)
#define SIPROF_INTERPOSE_OWN(name, result, parameters)
#define SIPROF_INTERPOSE_VERSION(own, symbol, at, version, result, parameters) \
  asm(".symver siprof_" #own ", " #symbol at version);
#define SIPROF_INTERPOSE_OWN(name, result, parameters)
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE_OWN
#undef SIPROF_INTERPOSE_VERSION
#undef SIPROF_INTERPOSE_OWN
#undef SIPROF_INTERPOSE

using namespace siprof;
using namespace siprof::shim;

namespace {

template <typename Call>
__attribute__((always_inline)) inline int wait_for(LockType type, const void* object, Call call) {
  const LockWait wait = begin_wait(type, object);
  const int result = call();
  end_lock_wait(wait);
  return result;
}

// A wait for a condition unlocks the mutex first, inside libc.
template <typename Call>
__attribute__((always_inline)) inline int wait_for_condition(const void* condition, const void* mutex,
                                                             Call call) {
  if (may_be_waited_for(mutex)) end_unlock(begin_unlock(mutex, __builtin_return_address(0)));
  return wait_for(LockType::kCond, condition, call);
}

// Not by a try: a wait that doesn't wait is a cancellation point too. The value is the first word of a sem_t
// in all versions of glibc.
bool is_open(const sem_t* semaphore) {
  return __atomic_load_n(reinterpret_cast<const int*>(semaphore), __ATOMIC_RELAXED) > 0;
}

// Taken up again where our tick alone has ended it. The time limits are points of time.
template <typename Call>
__attribute__((always_inline)) inline int go_on(Call call) {
  const int error = errno;
  expect_interruption(t_thread);
  int result = call();
  while (SIPROF_UNLIKELY(result != 0) && errno == EINTR && take_own_interruption(t_thread)) {
    result = call();
    if (result == 0) errno = error;
  }
  return result;
}

template <typename Call>
__attribute__((always_inline)) inline int wait_for_semaphore(sem_t* semaphore, Call call) {
  if (is_open(semaphore)) return call();
  if (!lock_is_on()) return go_on(call);
  return wait_for(LockType::kSemaphore, semaphore, [=] { return go_on(call); });
}

const void* object_of(pthread_t thread) {
  return reinterpret_cast<const void*>(thread);
}

}  // namespace

int siprof_pthread_cond_wait_2_2_5(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  const auto call = [=] { return real::pthread_cond_wait_2_2_5(condition, mutex); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_pthread_cond_wait_2_3_2(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  const auto call = [=] { return real::pthread_cond_wait_2_3_2(condition, mutex); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_pthread_cond_timedwait_2_2_5(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                        const timespec* until) {
  const auto call = [=] { return real::pthread_cond_timedwait_2_2_5(condition, mutex, until); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_pthread_cond_timedwait_2_3_2(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                        const timespec* until) {
  const auto call = [=] { return real::pthread_cond_timedwait_2_3_2(condition, mutex, until); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                  const timespec* until) {
  const auto call = [=] { return real::pthread_cond_clockwait(condition, mutex, clock, until); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_cnd_wait(cnd_t* condition, mtx_t* mutex) {
  const auto call = [=] { return real::cnd_wait(condition, mutex); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  const auto call = [=] { return real::cnd_timedwait(condition, mutex, until); };
  return lock_is_on() ? wait_for_condition(condition, mutex, call) : call();
}

int siprof_sem_wait(sem_t* semaphore) {
  return wait_for_semaphore(semaphore, [=] { return real::sem_wait(semaphore); });
}

int siprof_sem_timedwait(sem_t* semaphore, const timespec* until) {
  return wait_for_semaphore(semaphore, [=] { return real::sem_timedwait(semaphore, until); });
}

int siprof_sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* until) {
  return wait_for_semaphore(semaphore, [=] { return real::sem_clockwait(semaphore, clock, until); });
}

int siprof_pthread_join(pthread_t thread, void** result) {
  if (!lock_is_on()) return real::pthread_join(thread, result);
  return wait_for(LockType::kJoin, object_of(thread), [=] { return real::pthread_join(thread, result); });
}

int siprof_pthread_timedjoin_np(pthread_t thread, void** result, const timespec* until) {
  if (!lock_is_on()) return real::pthread_timedjoin_np(thread, result, until);
  return wait_for(LockType::kJoin, object_of(thread),
                  [=] { return real::pthread_timedjoin_np(thread, result, until); });
}

int siprof_pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock, const timespec* until) {
  if (!lock_is_on()) return real::pthread_clockjoin_np(thread, result, clock, until);
  return wait_for(LockType::kJoin, object_of(thread),
                  [=] { return real::pthread_clockjoin_np(thread, result, clock, until); });
}

int siprof_thrd_join(thrd_t thread, int* result) {
  if (!lock_is_on()) return real::thrd_join(thread, result);
  return wait_for(LockType::kJoin, object_of(thread), [=] { return real::thrd_join(thread, result); });
}

int siprof_pthread_barrier_wait(pthread_barrier_t* barrier) {
  if (!lock_is_on()) return real::pthread_barrier_wait(barrier);
  return wait_for(LockType::kBarrier, barrier, [=] { return real::pthread_barrier_wait(barrier); });
}
