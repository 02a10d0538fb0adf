// SPDX-License-Identifier: Apache-2.0
// What every call on locks answers, for all sorts of mutexes, read-write locks and C11's: a table of results,
// the same with and without siprof. Each call must leave errno alone.
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>

#include <string>
#include <thread>

#include "test/preload/victims/answers.h"

using namespace answers;

namespace {

// The lock is taken by another thread when this returns, and released by it `hold_ns` later.
template <typename Lock, typename Unlock>
std::thread held_elsewhere(Lock lock, Unlock unlock, int64_t hold_ns) {
  sem_t is_held;
  sem_init(&is_held, 0, 0);
  std::thread holder([=, &is_held] {
    lock();
    sem_post(&is_held);
    const timespec time{0, hold_ns};
    nanosleep(&time, nullptr);
    unlock();
  });
  while (sem_wait(&is_held) != 0) continue;
  sem_destroy(&is_held);
  return holder;
}

struct MutexSort {
  int type;
  int robust;
  int protocol;
  int shared;
};

bool make(pthread_mutex_t* mutex, const MutexSort& sort) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, sort.type);
  pthread_mutexattr_setrobust(&attributes, sort.robust);
  pthread_mutexattr_setprotocol(&attributes, sort.protocol);
  pthread_mutexattr_setpshared(&attributes, sort.shared);
  if (sort.protocol == PTHREAD_PRIO_PROTECT) pthread_mutexattr_setprioceiling(&attributes, 1);
  const int result = pthread_mutex_init(mutex, &attributes);
  if (result != 0) g_row += " init=" + std::to_string(result);
  return result == 0;
}

void lock_again(pthread_mutex_t* mutex, const MutexSort& sort) {
  cell("lock", [=] { return pthread_mutex_lock(mutex); });
  cell("again_try", [=] { return pthread_mutex_trylock(mutex); });
  if (sort.type != PTHREAD_MUTEX_NORMAL && sort.type != PTHREAD_MUTEX_ADAPTIVE_NP) {
    cell("again", [=] { return pthread_mutex_lock(mutex); });
    cell("again_timed", [=] {
      const timespec time = soon();
      return pthread_mutex_timedlock(mutex, &time);
    });
  }
  cell("others_try", [=] {
    int result = 0;
    std::thread([&] { result = pthread_mutex_trylock(mutex); }).join();
    return result;
  });
  cell_elsewhere("others_timed", [=] {
    const timespec time = soon();
    return pthread_mutex_timedlock(mutex, &time);
  });
  cell_elsewhere("others_clock", [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &time);
  });
  cell_elsewhere("others_past", [=] {
    const timespec time = at(CLOCK_REALTIME, -1);
    return pthread_mutex_timedlock(mutex, &time);
  });
  cell_elsewhere("others_invalid", [=] {
    const timespec time = invalid();
    return pthread_mutex_timedlock(mutex, &time);
  });
  cell_elsewhere("others_no_clock", [=] {
    const timespec time = soon();
    return pthread_mutex_clocklock(mutex, 77, &time);
  });
  if (sort.type == PTHREAD_MUTEX_ERRORCHECK)
    cell_elsewhere("others_unlock", [=] { return pthread_mutex_unlock(mutex); });
  for (int i = 0; i < 4 && (i == 0 || sort.type == PTHREAD_MUTEX_RECURSIVE); ++i)
    cell("unlock", [=] { return pthread_mutex_unlock(mutex); });
}

void lock_free_one(pthread_mutex_t* mutex) {
  const auto unlock = [=] { return pthread_mutex_unlock(mutex); };
  cell("timed", [=] {
    const timespec time = soon();
    return pthread_mutex_timedlock(mutex, &time);
  });
  cell("unlock", unlock);
  cell("clock", [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &time);
  });
  cell("unlock", unlock);
  int result = 0;
  cell("invalid", [&] {
    const timespec time = invalid();
    return result = pthread_mutex_timedlock(mutex, &time);
  });
  if (result == 0) cell("unlock", unlock);
  cell("no_clock", [&] {
    const timespec time = soon();
    return result = pthread_mutex_clocklock(mutex, 77, &time);
  });
  if (result == 0) cell("unlock", unlock);
}

void wait_for_it(pthread_mutex_t* mutex) {
  for (const bool timed : {false, true}) {
    std::thread holder =
        held_elsewhere([=] { pthread_mutex_lock(mutex); }, [=] { pthread_mutex_unlock(mutex); }, kSoonNs);
    cell(timed ? "waited_timed" : "waited", [=] {
      const timespec time = at(CLOCK_REALTIME, 5'000'000'000);
      return timed ? pthread_mutex_timedlock(mutex, &time) : pthread_mutex_lock(mutex);
    });
    pthread_mutex_unlock(mutex);
    holder.join();
  }
}

// Its owner ends with it. `mend`: it is made consistent again.
void lose_owner(pthread_mutex_t* mutex, bool mend, int how) {
  std::thread([=] { pthread_mutex_lock(mutex); }).join();
  cell(mend ? "owner_died" : "owner_died_again", [=] {
    const timespec time = soon();
    const timespec monotonic = soon(CLOCK_MONOTONIC);
    return how == 0   ? pthread_mutex_lock(mutex)
           : how == 1 ? pthread_mutex_timedlock(mutex, &time)
           : how == 2 ? pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &monotonic)
                      : pthread_mutex_trylock(mutex);
  });
  if (mend) cell("consistent", [=] { return pthread_mutex_consistent(mutex); });
  cell("unlock", [=] { return pthread_mutex_unlock(mutex); });
  cell("then", [=] { return pthread_mutex_lock(mutex); });
  if (mend) cell("unlock", [=] { return pthread_mutex_unlock(mutex); });
  if (!mend) cell("then_try", [=] { return pthread_mutex_trylock(mutex); });
  if (!mend)
    cell("then_timed", [=] {
      const timespec time = soon();
      return pthread_mutex_timedlock(mutex, &time);
    });
}

// Its owner ends while somebody waits for it.
void lose_owner_to_waiter(pthread_mutex_t* mutex) {
  sem_t is_held;
  sem_init(&is_held, 0, 0);
  std::thread owner([&] {
    pthread_mutex_lock(mutex);
    sem_post(&is_held);
    const timespec time{0, kSoonNs};
    nanosleep(&time, nullptr);
  });
  sem_wait(&is_held);
  cell("owner_dies", [=] { return pthread_mutex_lock(mutex); });
  owner.join();
  cell("consistent", [=] { return pthread_mutex_consistent(mutex); });
  cell("unlock", [=] { return pthread_mutex_unlock(mutex); });
}

void mutexes() {
  const std::pair<const char*, int> types[] = {{"normal", PTHREAD_MUTEX_NORMAL},
                                               {"errorcheck", PTHREAD_MUTEX_ERRORCHECK},
                                               {"recursive", PTHREAD_MUTEX_RECURSIVE},
                                               {"adaptive", PTHREAD_MUTEX_ADAPTIVE_NP}};
  const std::pair<const char*, int> protocols[] = {
      {"", PTHREAD_PRIO_NONE}, {" inherit", PTHREAD_PRIO_INHERIT}, {" protect", PTHREAD_PRIO_PROTECT}};
  for (const auto& [type_name, type] : types) {
    for (const auto& [protocol_name, protocol] : protocols) {
      for (const int robust : {PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_ROBUST}) {
        for (const int shared : {PTHREAD_PROCESS_PRIVATE, PTHREAD_PROCESS_SHARED}) {
          const MutexSort sort{type, robust, protocol, shared};
          const std::string name = std::string(type_name) + protocol_name +
                                   (robust == PTHREAD_MUTEX_ROBUST ? " robust" : "") +
                                   (shared == PTHREAD_PROCESS_SHARED ? " shared" : "");
          pthread_mutex_t mutex;
          if (make(&mutex, sort)) {
            lock_again(&mutex, sort);
            lock_free_one(&mutex);
            if (protocol != PTHREAD_PRIO_PROTECT) wait_for_it(&mutex);
            if (type == PTHREAD_MUTEX_ERRORCHECK)
              cell("not_locked", [&] { return pthread_mutex_unlock(&mutex); });
            cell("destroy", [&] { return pthread_mutex_destroy(&mutex); });
          }
          print_row(name);
          for (int how = 0; robust == PTHREAD_MUTEX_ROBUST && how < 4; ++how) {
            if (!make(&mutex, sort)) break;
            lose_owner(&mutex, true, how);
            lose_owner_to_waiter(&mutex);
            lose_owner(&mutex, false, how);
            print_row(name + ", owner dies " + std::to_string(how));
          }
        }
      }
    }
  }
}

void read_write_lock(const std::string& name, int sort) {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, sort);
  pthread_rwlock_t storage;
  pthread_rwlock_t* lock = &storage;
  pthread_rwlock_init(lock, &attributes);
  const auto unlock = [=] { return pthread_rwlock_unlock(lock); };
  const auto timed_read = [=] {
    const timespec time = soon();
    return pthread_rwlock_timedrdlock(lock, &time);
  };
  const auto timed_write = [=] {
    const timespec time = soon();
    return pthread_rwlock_timedwrlock(lock, &time);
  };
  const auto clock_read = [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return pthread_rwlock_clockrdlock(lock, CLOCK_MONOTONIC, &time);
  };
  const auto clock_write = [=] {
    const timespec time = soon(CLOCK_MONOTONIC);
    return pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &time);
  };
  const auto refused = [=](const char* where) {
    g_row += std::string(" ") + where + ":";
    const timespec time = invalid();
    const timespec fine = soon();
    int result = 0;
    const auto undo = [&] {
      if (result == 0) pthread_rwlock_unlock(lock);
    };
    cell("invalid_read", [&] { return result = pthread_rwlock_timedrdlock(lock, &time); });
    undo();
    cell("invalid_write", [&] { return result = pthread_rwlock_timedwrlock(lock, &time); });
    undo();
    cell("no_clock_read", [&] { return result = pthread_rwlock_clockrdlock(lock, 77, &fine); });
    undo();
    cell("no_clock_write", [&] { return result = pthread_rwlock_clockwrlock(lock, 77, &fine); });
    undo();
  };
  refused("free");
  cell("read", [=] { return pthread_rwlock_rdlock(lock); });
  cell("read_again", [=] { return pthread_rwlock_rdlock(lock); });
  cell_elsewhere("others_read", [=] { return pthread_rwlock_rdlock(lock); });
  cell_elsewhere("others_write", timed_write);
  cell_elsewhere("others_clock_write", clock_write);
  cell("self_write", timed_write);
  std::thread([&] { refused("read"); }).join();
  for (int i = 0; i < 3; ++i) cell("unlock", unlock);
  cell("write", [=] { return pthread_rwlock_wrlock(lock); });
  cell("self_read", [=] { return pthread_rwlock_rdlock(lock); });
  cell("self_write", [=] { return pthread_rwlock_wrlock(lock); });
  cell("self_timed_read", timed_read);
  cell("self_timed_write", timed_write);
  cell_elsewhere("others_read", timed_read);
  cell_elsewhere("others_clock_read", clock_read);
  cell_elsewhere("others_try_read", [=] { return pthread_rwlock_tryrdlock(lock); });
  cell_elsewhere("others_try_write", [=] { return pthread_rwlock_trywrlock(lock); });
  std::thread([&] { refused("written"); }).join();
  cell("unlock", unlock);
  for (const bool read : {true, false}) {
    std::thread holder = held_elsewhere([=] { pthread_rwlock_wrlock(lock); }, unlock, kSoonNs);
    cell(read ? "waited_read" : "waited_write",
         [=] { return read ? pthread_rwlock_rdlock(lock) : pthread_rwlock_wrlock(lock); });
    unlock();
    holder.join();
  }
  cell("destroy", [=] { return pthread_rwlock_destroy(lock); });
  print_row(name);
}

void c11_mutex(const std::string& name, int type) {
  mtx_t storage;
  mtx_t* mutex = &storage;
  mtx_init(mutex, type);
  const auto timed = [=] {
    const timespec time = soon();
    return mtx_timedlock(mutex, &time);
  };
  cell("lock", [=] { return mtx_lock(mutex); });
  if ((type & mtx_recursive) != 0) cell("again", [=] { return mtx_lock(mutex); });
  cell_elsewhere("others_try", [=] { return mtx_trylock(mutex); });
  cell_elsewhere("others_timed", timed);
  cell_elsewhere("others_invalid", [=] {
    const timespec time = invalid();
    return mtx_timedlock(mutex, &time);
  });
  cell("unlock", [=] { return mtx_unlock(mutex); });
  if ((type & mtx_recursive) != 0) cell("unlock", [=] { return mtx_unlock(mutex); });
  cell("timed", timed);
  cell("unlock", [=] { return mtx_unlock(mutex); });
  int result = 0;
  cell("invalid", [&] {
    const timespec time = invalid();
    return result = mtx_timedlock(mutex, &time);
  });
  if (result == thrd_success) cell("unlock", [=] { return mtx_unlock(mutex); });
  std::thread holder = held_elsewhere([=] { mtx_lock(mutex); }, [=] { mtx_unlock(mutex); }, kSoonNs);
  cell("waited", [=] { return mtx_lock(mutex); });
  mtx_unlock(mutex);
  holder.join();
  cnd_t condition;
  cnd_init(&condition);
  mtx_lock(mutex);
  cell("cnd_timed", [&] {
    const timespec time = soon();
    return cnd_timedwait(&condition, mutex, &time);
  });
  std::thread signaller([&] {
    mtx_lock(mutex);
    cnd_signal(&condition);
    mtx_unlock(mutex);
  });
  cell("cnd_wait", [&] { return cnd_wait(&condition, mutex); });
  mtx_unlock(mutex);
  signaller.join();
  cnd_destroy(&condition);
  mtx_destroy(mutex);
  print_row(name);
}

}  // namespace

int main() {
  mutexes();
  read_write_lock("prefer readers", PTHREAD_RWLOCK_PREFER_READER_NP);
  read_write_lock("prefer writers", PTHREAD_RWLOCK_PREFER_WRITER_NP);
  read_write_lock("prefer writers, not recursive", PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  c11_mutex("mtx plain", mtx_plain);
  c11_mutex("mtx timed", mtx_timed);
  c11_mutex("mtx recursive", mtx_timed | mtx_recursive);
  return 0;
}
