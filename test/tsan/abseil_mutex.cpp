// SPDX-License-Identifier: Apache-2.0
// Tells ThreadSanitizer what Abseil's mutexes do.
//
// Debian's Abseil isn't built with ThreadSanitizer, which therefore doesn't see that a mutex orders anything
// and reports everything it guards, in our code as well as in gRPC's. These definitions stand in the
// executable, so that every library's calls come here: the library's own function does the work, an
// annotation says what it means. Linked into the executables of builds with b_sanitize=thread only.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace {

template <class Function>
Function library_function(const char* mangled) {
  void* function = dlsym(RTLD_NEXT, mangled);
  if (function == nullptr) {
    std::fprintf(stderr, "abseil_mutex.cpp: no %s in Abseil's library\n", mangled);
    std::abort();
  }
  return reinterpret_cast<Function>(function);
}

// The library's function of that name. Its first parameter is the object.
#define LIBRARY_FUNCTION(mangled, result, ...) \
  static const auto real = library_function<result (*)(__VA_ARGS__)>("_ZN4absl7debian3" mangled)

// Unlocking may look whether another thread's Condition holds now: its reads are still under the lock.
class ReadsUnderLock {
 public:
  ReadsUnderLock() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~ReadsUnderLock() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
  ReadsUnderLock(const ReadsUnderLock&) = delete;
  ReadsUnderLock& operator=(const ReadsUnderLock&) = delete;
};

// Around a call that gives the lock away for a time, or only takes it.
class Handover {
 public:
  explicit Handover(void* mutex) : mutex_(mutex) { __tsan_release(mutex_); }
  ~Handover() { __tsan_acquire(mutex_); }
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

 private:
  void* mutex_;
  ReadsUnderLock reads_;
};

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  LIBRARY_FUNCTION("5Mutex4LockEv", void, Mutex*);
  real(this);
  __tsan_acquire(this);
}

void Mutex::ReaderLock() {
  LIBRARY_FUNCTION("5Mutex10ReaderLockEv", void, Mutex*);
  real(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  LIBRARY_FUNCTION("5Mutex7TryLockEv", bool, Mutex*);
  const bool locked = real(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Unlock() {
  LIBRARY_FUNCTION("5Mutex6UnlockEv", void, Mutex*);
  const ReadsUnderLock reads;
  __tsan_release(this);
  real(this);
}

void Mutex::ReaderUnlock() {
  LIBRARY_FUNCTION("5Mutex12ReaderUnlockEv", void, Mutex*);
  const ReadsUnderLock reads;
  __tsan_release(this);
  real(this);
}

void Mutex::Await(const Condition& condition) {
  LIBRARY_FUNCTION("5Mutex5AwaitERKNS0_9ConditionE", void, Mutex*, const Condition&);
  const Handover handover(this);
  real(this, condition);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  LIBRARY_FUNCTION("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE", bool, Mutex*, const Condition&,
                   Duration);
  const Handover handover(this);
  return real(this, condition, timeout);
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  LIBRARY_FUNCTION("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE", bool, Mutex*, const Condition&,
                   Time);
  const Handover handover(this);
  return real(this, condition, deadline);
}

void Mutex::LockWhen(const Condition& condition) {
  LIBRARY_FUNCTION("5Mutex8LockWhenERKNS0_9ConditionE", void, Mutex*, const Condition&);
  const ReadsUnderLock reads;
  real(this, condition);
  __tsan_acquire(this);
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  LIBRARY_FUNCTION("5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE", bool, Mutex*,
                   const Condition&, Duration);
  const ReadsUnderLock reads;
  const bool holds = real(this, condition, timeout);
  __tsan_acquire(this);
  return holds;
}

void CondVar::Wait(Mutex* mutex) {
  LIBRARY_FUNCTION("7CondVar4WaitEPNS0_5MutexE", void, CondVar*, Mutex*);
  const Handover handover(mutex);
  real(this, mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  LIBRARY_FUNCTION("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE", bool, CondVar*, Mutex*, Duration);
  const Handover handover(mutex);
  return real(this, mutex, timeout);
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  LIBRARY_FUNCTION("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE", bool, CondVar*, Mutex*, Time);
  const Handover handover(mutex);
  return real(this, mutex, deadline);
}

ABSL_NAMESPACE_END
}  // namespace absl
