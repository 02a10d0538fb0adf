// SPDX-License-Identifier: Apache-2.0
// Allocates by every function that can, each in a function of its own, and notes what it asked for; then
// frees all of it but what `heap_entries keep` keeps: half of each.
#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "test/preload/victims/victim.h"

extern "C" void free_sized(void* block, size_t bytes) __attribute__((weak));
extern "C" void free_aligned_sized(void* block, size_t alignment, size_t bytes) __attribute__((weak));

namespace {

constexpr size_t kCount = 50;

struct Block {
  void* at;
  size_t bytes;
};
using Blocks = std::vector<Block>;
Blocks g_by_free, g_by_delete, g_by_delete_array, g_by_aligned_delete;
int64_t g_wrong = 0;

void expect(bool right) {
  g_wrong += right ? 0 : 1;
}

// libstdc++ rounds aligned blocks up before it allocates them; `grown` is a block of 8 bytes before.
size_t asked_of_malloc(std::string_view name, size_t bytes) {
  if (getenv("VICTIM_ROUNDS") != nullptr && name.find("aligned") != name.npos && name.starts_with("by_new"))
    return (bytes + 127) / 128 * 128;
  return name == "by_realloc" ? bytes + 8 : bytes;
}

// Notes what `by_NAME` asked for, and keeps the blocks until the end.
template <typename Allocate>
void by(const char* name, Blocks& blocks, size_t bytes, Allocate allocate) {
  usleep(40'000);  // what came before has been taken out of the shared memory
  for (size_t i = 0; i < kCount; ++i) {
    errno = 123;
    void* block = allocate(bytes + i);
    expect(block != nullptr && errno == 123);
    memset(block, 0xff, bytes + i);
    expect(malloc_usable_size(block) >= bytes + i);
    blocks.push_back({block, bytes + i});
  }
  int64_t noted = 0;
  for (size_t i = 0; i < kCount; ++i) noted += static_cast<int64_t>(asked_of_malloc(name, bytes + i));
  victim::note_fact(name, noted);
}

#define BY(name, blocks, bytes, ...)              \
  VICTIM_NOINLINE void* name##_one(size_t size) { \
    void* block = __VA_ARGS__;                    \
    asm volatile("# " #name : "+r"(block));       \
    return block;                                 \
  }                                               \
  void name() {                                   \
    by(#name, blocks, bytes, name##_one);         \
  }

void* aligned_block(size_t size) {
  void* block = nullptr;
  return posix_memalign(&block, 64, size) == 0 ? block : nullptr;
}
void* grown(size_t size) {
  return realloc(malloc(8), size);
}
void* text(size_t size) {
  static const std::array<char, 10'000> letters = [] {
    std::array<char, 10'000> x;
    x.fill('x');
    return x;
  }();
  return strndup(letters.data(), size - 1);
}
constexpr std::align_val_t kAlignment{128};

BY(by_malloc, g_by_free, 1000, malloc(size))
BY(by_calloc, g_by_free, 1100, calloc(1, size))
BY(by_realloc_of_none, g_by_free, 1200, realloc(nullptr, size))
BY(by_realloc, g_by_free, 1300, grown(size))
BY(by_reallocarray, g_by_free, 1400, reallocarray(nullptr, 1, size))
BY(by_memalign, g_by_free, 1500, memalign(64, size))
BY(by_aligned_alloc, g_by_free, 1600, aligned_alloc(64, size))
BY(by_posix_memalign, g_by_free, 1700, aligned_block(size))
BY(by_valloc, g_by_free, 1800, valloc(size))
BY(by_strndup, g_by_free, 1900, text(size))
BY(by_new, g_by_delete, 2000, operator new(size))
BY(by_new_nothrow, g_by_delete, 2100, operator new(size, std::nothrow))
BY(by_new_array, g_by_delete_array, 2200, operator new[](size))
BY(by_new_array_nothrow, g_by_delete_array, 2300, operator new[](size, std::nothrow))
BY(by_new_aligned, g_by_aligned_delete, 2400, operator new(size, kAlignment))
BY(by_new_array_aligned, g_by_aligned_delete, 2500, operator new[](size, kAlignment))
BY(by_new_aligned_nothrow, g_by_aligned_delete, 2600, operator new(size, kAlignment, std::nothrow))
BY(by_mapped_malloc, g_by_free, 300'000, malloc(size))

template <typename Free>
void release(Blocks& blocks, bool keep, Free free_one) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (keep && i % 2 == 0) continue;
    errno = 123;
    free_one(blocks[i], i);
    expect(errno == 123);
  }
}

// The compiler doesn't see that it is realloc, whose argument it takes for freed even where that failed.
VICTIM_NOINLINE void* grown_to(void* block, size_t bytes) {
  asm volatile("" : "+r"(block));
  return realloc(block, bytes);
}

// What fails stays as it was, with the error that it always had.
void failures() {
  void* block = malloc(77);
  const size_t huge = PTRDIFF_MAX;
  volatile size_t two = 2;
  errno = 0;
  expect(malloc(huge + two) == nullptr && errno == ENOMEM);
  errno = 0;
  expect(calloc(huge, two + 1) == nullptr && errno == ENOMEM);
  errno = 0;
  expect(grown_to(block, huge + two) == nullptr && errno == ENOMEM);
  errno = 0;
  expect(reallocarray(block, huge, two + 1) == nullptr && errno == ENOMEM);
  void* other = nullptr;
  expect(posix_memalign(&other, 3, 100) == EINVAL && other == nullptr);
  expect(posix_memalign(&other, 64, huge + two) == ENOMEM && other == nullptr);
  try {
    block = operator new(huge + two);
    expect(false);
  } catch (const std::bad_alloc&) {
  }
  free(block);
  free(nullptr);
  operator delete(nullptr);
  void* empty = malloc(two - 2);
  free(empty);
}

VICTIM_NOINLINE void by_pvalloc() {
  void* block = pvalloc(5000);  // not everywhere one of free's: jemalloc doesn't have it
  expect(block != nullptr);
  victim::note_fact("by_pvalloc", 5000);
}

void allocate_all() {
  by_malloc(), by_calloc(), by_realloc_of_none(), by_realloc(), by_reallocarray(), by_memalign();
  by_aligned_alloc(), by_posix_memalign(), by_valloc(), by_strndup(), by_mapped_malloc();
  by_new(), by_new_nothrow(), by_new_array(), by_new_array_nothrow();
  by_new_aligned(), by_new_array_aligned(), by_new_aligned_nothrow();
}

void release_all(bool keep) {
  release(g_by_free, keep, [](Block b, size_t i) {
    // A libc that has them, or none.
    if (free_sized != nullptr && i % 3 == 0)
      free_sized(b.at, b.bytes);
    else
      free(b.at);
  });
  release(g_by_delete, keep, [](Block b, size_t i) {
    i % 3 == 0   ? operator delete(b.at)
    : i % 3 == 1 ? operator delete(b.at, b.bytes)
                 :
                 operator delete(b.at, std::nothrow);
  });
  release(g_by_delete_array, keep,
          [](Block b, size_t i) { i % 2 == 0 ? operator delete[](b.at) : operator delete[](b.at, b.bytes); });
  release(g_by_aligned_delete, keep, [](Block b, size_t i) {
    i % 2 == 0 ? operator delete(b.at, kAlignment) : operator delete(b.at, b.bytes, kAlignment);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  for (Blocks* blocks : {&g_by_free, &g_by_delete, &g_by_delete_array, &g_by_aligned_delete})
    blocks->reserve(1000);
  victim::burn_ms(300);  // until there is an agent, and it knows our code
  allocate_all();
  if (mode == "pvalloc") by_pvalloc();
  usleep(100'000);
  if (mode == "failures") failures();
  release_all(mode == "keep");
  printf("%lld wrong answers\n", static_cast<long long>(g_wrong));
}
