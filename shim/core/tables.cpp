// SPDX-License-Identifier: Apache-2.0
#include "shim/core/tables.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/child.h"
#include "shim/core/code_map.h"
#include "shim/core/process.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

// Room for the arena to grow in, so that it is mapped anew rarely: address space only.
constexpr std::uint64_t kLeastMapped = 32u << 20;

// Never changed once it is published, nor unmapped: another thread may be reading it.
struct Arena {
  const std::byte* base;
  std::uint64_t bytes;
  std::uint64_t id;
};
// kMostArenas agents may follow each other before stacks are copied for good.
constinit Arena g_arenas[kMostArenas] = {};
constinit std::uint32_t g_arena_count = 0;             // under the attach lock
constinit std::atomic<const Arena*> g_arena{nullptr};  // release after it is filled in; acquire in handlers
// The attachment and SharedHeader::arena_generation that were looked at; relaxed, hints.
constinit std::atomic<std::uint32_t> g_tried{0};
constinit std::atomic<std::uint64_t> g_tried_session{0};
constinit std::uint64_t g_rule_cache[kRuleCacheSize] = {};

struct MapRequest {
  char path[kArenaPathBytes];
  std::uint64_t id;
  std::uint64_t least_bytes;  // that the file has
  std::uint64_t bytes;
  long mapped;
};

// A path may name something else where we look (another /proc): only this arena's file, as long as it was
// said to be, which can't shrink, is read without a fault.
SIPROF_SIGNAL_SAFE bool read_arena_header(long fd, std::uint64_t* id, std::uint64_t* bytes) {
  ArenaHeader header{};
  if (sys::call(SYS_pread64, fd, &header, sizeof(header), 0) != sizeof(header)) return false;
  const long seals = sys::call(SYS_fcntl, fd, F_GET_SEALS);
  const long end = sys::call(SYS_lseek, fd, 0, SEEK_END);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || end < 0) return false;
  *id = header.id;
  *bytes = static_cast<std::uint64_t>(end);
  return header.magic == kArenaMagic && header.version == kArenaVersion;
}

// Never waits: in a root directory of its own there may be a FIFO of that name.
SIPROF_SIGNAL_SAFE long open_arena(const char* path, std::uint64_t* id, std::uint64_t* bytes) {
  const long fd = sys::call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0 || read_arena_header(fd, id, bytes)) return fd;
  sys::call(SYS_close, fd);
  return -1;
}

SIPROF_SIGNAL_SAFE void map_file(MapRequest* request, long fd) {
  request->mapped =
      sys::call(SYS_mmap, nullptr, request->bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (sys::failed(request->mapped)) return;
  // Not the app's to have in memory or in a core dump.
  sys::call(SYS_munlock, request->mapped, request->bytes);
  sys::call(SYS_madvise, request->mapped, request->bytes, MADV_DONTDUMP);
}

SIPROF_SIGNAL_SAFE int run_map_child(void* argument) {
  auto* request = static_cast<MapRequest*>(argument);
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;
  const long fd = open_arena(request->path, &id, &bytes);
  if (fd >= 0 && id == request->id && bytes >= request->least_bytes) map_file(request, fd);
  return kChildRan;
}

// What CodeMap says of the arena. False: nothing that can be used now.
SIPROF_SIGNAL_SAFE bool read_arena(const CodeMap* map, MapRequest* request, std::uint64_t* id,
                                   std::uint64_t* bytes) {
  const std::uint32_t sequence = map->sequence.load(std::memory_order_acquire);
  *id = map->arena_id;
  *bytes = map->arena_bytes;
  copy_bytes(request->path, map->arena_path, kArenaPathBytes);
  std::atomic_thread_fence(std::memory_order_acquire);
  request->path[kArenaPathBytes - 1] = '\0';
  return sequence % 2 == 0 && map->sequence.load(std::memory_order_relaxed) == sequence && *id != 0;
}

SIPROF_SIGNAL_SAFE bool map_in_child(MapRequest* request) {
  constexpr std::uint64_t kStackBytes = 16 * 1024;
  const long stack = sys::map_private(kStackBytes);
  if (sys::failed(stack)) return false;
  request->mapped = -1;
  const bool ran = run_in_child(run_map_child, request, reinterpret_cast<char*>(stack) + kStackBytes);
  sys::call(SYS_munmap, stack, kStackBytes);
  return ran && !sys::failed(request->mapped);
}

// What an app may use of addresses is its own: under a limit stacks are copied.
SIPROF_SIGNAL_SAFE bool has_room() {
  rlimit64 limit{};
  return sys::call(SYS_prlimit64, 0, RLIMIT_AS, nullptr, &limit) == 0 && limit.rlim_cur == RLIM64_INFINITY;
}

SIPROF_SIGNAL_SAFE const Arena* keep_arena(const MapRequest& request) {
  Arena& arena = g_arenas[g_arena_count++];
  arena = {reinterpret_cast<const std::byte*>(request.mapped), request.bytes, request.id};
  g_arena.store(&arena, std::memory_order_release);
  return &arena;
}

SIPROF_SIGNAL_SAFE std::uint64_t bytes_to_map(std::uint64_t bytes) {
  return bytes * 2 > kLeastMapped ? bytes * 2 : kLeastMapped;
}

// False: it is being written at this moment. Under the attach lock.
SIPROF_SIGNAL_SAFE bool map_arena(const CodeMap* map) {
  MapRequest request{};
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;
  if (!read_arena(map, &request, &id, &bytes)) return false;
  const Arena* before = g_arena.load(std::memory_order_relaxed);
  if (before != nullptr && before->id == id && bytes <= before->bytes) return true;
  if (g_arena_count == kMostArenas || !has_room()) return true;
  request.id = id;
  request.least_bytes = bytes;
  request.bytes = bytes_to_map(bytes);
  if (map_in_child(&request)) keep_arena(request);
  return true;
}

}  // namespace

FoundArena find_arena(const char* path) {
  MapRequest request{};
  std::uint64_t file_bytes = 0;
  const long fd = open_arena(path, &request.id, &file_bytes);
  const Arena* arena = g_arena.load(std::memory_order_relaxed);
  const bool known = arena != nullptr && arena->id == request.id && file_bytes <= arena->bytes;
  request.bytes = bytes_to_map(file_bytes);
  request.mapped = -1;
  if (fd >= 0 && !known && g_arena_count < kMostArenas && has_room()) map_file(&request, fd);
  if (fd >= 0) sys::call(SYS_close, fd);
  if (!known) arena = sys::failed(request.mapped) ? nullptr : keep_arena(request);
  if (fd < 0 || arena == nullptr) return {};
  return {arena->base, file_bytes, arena->id};
}

bool read_tables(const SharedHeader* header, Tables* tables) {
  const Arena* arena = g_arena.load(std::memory_order_acquire);
  if (arena == nullptr) return false;
  const CodeMap* map = code_map_of(header);
  // Pairs with the agent's release when it has written.
  const std::uint32_t sequence = map->sequence.load(std::memory_order_acquire);
  if (sequence % 2 != 0 || map->arena_id != arena->id) return false;
  // Code that is gone may be followed by other code in its place.
  tables->unmap_generation = unmap_generation();
  if (tables->unmap_generation == kUnmapping || map->unmap_generation != tables->unmap_generation)
    return false;
  const std::uint32_t ranges = map->range_count;
  tables->view.arena = arena->base;
  tables->view.arena_bytes = map->arena_bytes < arena->bytes ? map->arena_bytes : arena->bytes;
  tables->view.ranges = map->ranges;
  tables->view.range_count = ranges < kMaxCodeRanges ? ranges : kMaxCodeRanges;
  tables->view.rule_cache = g_rule_cache;
  tables->view.arena_number = static_cast<std::uint32_t>(arena - g_arenas);
  tables->map = map;
  tables->sequence = sequence;
  return true;
}

bool tables_hold(const Tables& tables) {
  std::atomic_thread_fence(std::memory_order_acquire);
  return tables.map->sequence.load(std::memory_order_relaxed) == tables.sequence;
}

void map_tables_if_due(const SharedHeader* header) {
  // Pairs with the agent's release after it has named the arena.
  const std::uint32_t generation = header->arena_generation.load(std::memory_order_acquire);
  if (SIPROF_LIKELY(generation == g_tried.load(std::memory_order_relaxed) &&
                    header->session == g_tried_session.load(std::memory_order_relaxed)))
    return;
  if (generation == 0 || !may_call()) return;
  std::uint32_t free = 0;
  if (!g_process.attaching.compare_exchange_strong(free, 1, std::memory_order_acquire)) return;
  if (map_arena(code_map_of(header))) {
    g_tried.store(generation, std::memory_order_relaxed);
    g_tried_session.store(header->session, std::memory_order_relaxed);
  }
  g_process.attaching.store(0, std::memory_order_release);  // pairs with the acquire above
}

}  // namespace siprof::shim
