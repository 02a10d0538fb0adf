// SPDX-License-Identifier: Apache-2.0
// The allocator that comes next: libc's, or another preload's. All of malloc's family has to be one module's,
// or a block of one allocator might come to another; and operators new and delete are counted only where they
// are that same module's: elsewhere they end in malloc.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shim/base/attrs.h"
#include "shim/base/next.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {

// What is called all the time: found at the first call of any. Relaxed: racing threads find the same.
struct Allocator {
  std::atomic<void* (*)(std::size_t)> malloc;
  std::atomic<void* (*)(std::size_t, std::size_t)> calloc;
  std::atomic<void* (*)(void*, std::size_t)> realloc;
  std::atomic<void (*)(void*)> free;
};
extern SIPROF_OWN Allocator g_allocator;

// Whether samples of the module's allocations are wanted: not a sanitizer's, which has its own account of
// blocks.
bool is_fit_to_sample(const void* module);

// From now on these come next, whatever the loader's list says. They stay valid and are not copied. False:
// not all of malloc, calloc, realloc and free are among them. Context: the constructor.
bool adopt_allocator(const char* const* names, const Definition* definitions, std::size_t count);

// Counts one that the loader found before us (in the program, in another preload), so that nothing comes by
// here. Context: the constructor, the child of a fork.
void note_unseen_allocator();

// Another function of the family. Any thread; relaxed as above.
class AllocatorCall {
 public:
  enum class Counted { kWithMalloc, kUnlessLibcs, kNever };
  constexpr AllocatorCall(const char* name, Counted counted) : name_(name), counted_(counted) {}

  // Null: nobody after us has it.
  void* address() {
    if (SIPROF_UNLIKELY(!known_.load(std::memory_order_acquire))) find();
    return address_.load(std::memory_order_relaxed);
  }
  // After address(): its blocks are malloc's, and it doesn't call malloc for them.
  bool is_counted() const { return is_counted_.load(std::memory_order_relaxed); }

 private:
  void find();

  const char* name_;
  Counted counted_;
  std::atomic<void*> address_{nullptr};
  std::atomic<bool> is_counted_{false};
  std::atomic<bool> known_{false};  // release after the others
};

// An operator new or delete: may be in a library that is opened and closed, then it is looked for again after
// each dlclose, with the loader's lock. Not so if it came with the program.
class OperatorCall {
 public:
  constexpr explicit OperatorCall(const char* name) : name_(name) {}

  // What is to be jumped to without further ado, or null: then find() knows more.
  __attribute__((always_inline)) void* if_uncounted() const {
    const std::uint64_t packed = packed_.load(std::memory_order_relaxed);
    const std::uint32_t tag = tag_of(g_unmaps_begun.load(std::memory_order_relaxed));
    return SIPROF_LIKELY((packed & (kTagBits & ~kLastingBit)) == tag) ? reinterpret_cast<void*>(packed >> 16)
                                                                      : nullptr;
  }

  struct Found {
    void* address;
    bool is_counted;  // it doesn't end in malloc, as far as is known
    bool is_tried;    // and that has been tried
  };
  Found find();
  // What trying it showed. An allocator may have operators that end in its own malloc's family, by our
  // wrappers.
  void note_trial(bool ends_in_malloc);

 private:
  static constexpr std::uint32_t kTagBits = 0xffff;
  static constexpr std::uint32_t kKnownBit = 0x8000;
  static constexpr std::uint32_t kCountedBit = 0x4000;
  static constexpr std::uint32_t kTriedBit = 0x2000;
  static constexpr std::uint32_t kLastingBit = 0x1000;  // whatever is unmapped
  static constexpr std::uint32_t kCountBits = 0x0fff;
  static constexpr std::uint32_t tag_of(std::uint32_t unmaps) { return kKnownBit | (unmaps & kCountBits); }
  static Found unpack(std::uint64_t packed) {
    return {reinterpret_cast<void*>(packed >> 16), (packed & kCountedBit) != 0, (packed & kTriedBit) != 0};
  }

  const char* name_;
  // The address, what is known of it and the number of unmappings then: one word, never half of two.
  std::atomic<std::uint64_t> packed_{0};
};

}  // namespace siprof::shim
