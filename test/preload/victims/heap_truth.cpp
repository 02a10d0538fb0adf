// SPDX-License-Identifier: Apache-2.0
// Allocates what it says, from functions of known names: `heap_truth MODE`. Notes the bytes of each.
#include <malloc.h>

#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "test/preload/victims/victim.h"

namespace {

VICTIM_NOINLINE void* allocate_small(size_t bytes) {
  void* block = malloc(bytes);
  asm volatile("# small" : "+r"(block));  // or the compiler makes one function of both
  return block;
}

VICTIM_NOINLINE void* allocate_large(size_t bytes) {
  void* block = malloc(bytes);
  asm volatile("# large" : "+r"(block));
  return block;
}

// Half of `total` bytes by each, freed at once.
void sizes(int64_t total, size_t small, size_t large) {
  const int64_t batches = total / 2 / 1'048'576;
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int i = 0; i < 5; ++i) victim::spin(static_cast<uint64_t>(batch) + 1);
    for (size_t done = 0; done < 1'048'576; done += small) {
      void* block = allocate_small(small);
      memset(block, 1, small);
      free(block);
    }
    for (size_t done = 0; done < 1'048'576; done += large) {
      void* block = allocate_large(large);
      memset(block, 1, large);
      free(block);
    }
  }
  victim::note_fact("small_bytes", batches * 1'048'576);
  victim::note_fact("large_bytes", batches * 1'048'576);
}

// A rhythm that a sampler which counts regularly would fall into: 1 byte, then all but one of the interval.
void alternating(int64_t rounds, size_t interval) {
  for (int64_t i = 0; i < rounds; ++i) {
    free(allocate_small(1));
    free(allocate_large(interval - 1));
    victim::spin(static_cast<uint64_t>(i) + 1);
  }
  victim::note_fact("small_objects", rounds);
  victim::note_fact("large_objects", rounds);
}

struct Block {
  void* at = nullptr;
  size_t bytes = 0;
};

size_t random_size(uint64_t& seed) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return 16 + (seed >> 20) % 1000;
}

VICTIM_NOINLINE Block grow(Block block, size_t bytes) {
  return {realloc(block.at, bytes), bytes};
}

VICTIM_NOINLINE Block keep(size_t bytes) {
  return {malloc(bytes), bytes};
}

// Frees and reallocates at random; then `all` is freed, or what there is stays.
void churn(int64_t times, bool all, int64_t& live_by_malloc, int64_t& live_by_realloc) {
  std::vector<Block> by_malloc(30'000), by_realloc(30'000);
  uint64_t seed = 88172645463325252u;
  for (int64_t i = 0; i < times; ++i) {
    const size_t bytes = random_size(seed);
    Block& one = by_malloc[(seed >> 7) % by_malloc.size()];
    free(one.at);
    one = keep(bytes);
    Block& other = by_realloc[(seed >> 9) % by_realloc.size()];
    other = grow(other, bytes);
  }
  for (auto* blocks : {&by_malloc, &by_realloc}) {
    int64_t& live = blocks == &by_malloc ? live_by_malloc : live_by_realloc;
    for (Block& block : *blocks) {
      if (all)
        free(block.at);
      else
        live += static_cast<int64_t>(block.bytes);
    }
  }
}

void churn_in_threads(int64_t times, int count, bool all) {
  std::vector<std::thread> threads;
  std::vector<int64_t> live(2 * static_cast<size_t>(count));
  for (size_t i = 0; i < live.size(); i += 2)
    threads.emplace_back([&live, i, times, all] { churn(times, all, live[i], live[i + 1]); });
  for (std::thread& thread : threads) thread.join();
  int64_t by_malloc = 0, by_realloc = 0;
  for (size_t i = 0; i < live.size(); i += 2) {
    by_malloc += live[i];
    by_realloc += live[i + 1];
  }
  victim::note_fact("live_by_malloc", by_malloc);
  victim::note_fact("live_by_realloc", by_realloc);
}

// As many objects as `count`, each of `bytes`, all of which live. With pauses: what is asked is how many are
// followed, not how many samples a burst may bring.
VICTIM_NOINLINE void hoard(int64_t count, size_t bytes) {
  for (int64_t i = 0; i < count; ++i) {
    void* block = malloc(bytes);
    asm volatile("" : "+r"(block));
    if (i % 100 == 0) victim::spin(static_cast<uint64_t>(i) + 1);
    if (i % 10'000 == 0) usleep(10'000);
  }
  victim::note_fact("hoarded", count);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, int64_t other) { return argc > i ? atoll(argv[i]) : other; };
  victim::require(argc > 1, "usage: heap_truth MODE NUMBER…");
  const std::string_view mode = argv[1];
  victim::burn_ms(50);  // until there is an agent: what is before goes unseen
  if (mode == "sizes") sizes(argument(2, 5'000'000'000), 512, 262'144);
  if (mode == "alternating") alternating(argument(2, 20'000), static_cast<size_t>(argument(3, 65'536)));
  if (mode == "live") churn_in_threads(argument(2, 2'500'000), static_cast<int>(argument(3, 2)), false);
  if (mode == "freed") churn_in_threads(argument(2, 2'500'000), static_cast<int>(argument(3, 2)), true);
  if (mode == "hoard") hoard(argument(2, 1'000'000), static_cast<size_t>(argument(3, 16)));
  puts("done");
}
