// SPDX-License-Identifier: Apache-2.0
#include "shim/core/first_code_map.h"

#include <elf.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/code_map.h"
#include "shim/core/tables.h"

namespace siprof::shim {
namespace {

constexpr std::uint64_t kPage = 4096;

// A file's first page, which nearly always holds all that is wanted: program headers and build-id.
struct FirstPage {
  alignas(8) char bytes[kPage];
  std::uint32_t segments;

  // By the kernel: what a file has lost since it was mapped would be a fault.
  SIPROF_SIGNAL_SAFE bool read(std::uint64_t address) {
    iovec local{bytes, kPage};
    iovec remote{reinterpret_cast<void*>(address), kPage};
    const long pid = sys::call(SYS_getpid);
    if (sys::call(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0) != static_cast<long>(kPage))
      return false;
    const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(bytes);
    segments = header.e_phnum;
    return same_bytes(header.e_ident, ELFMAG, SELFMAG) && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phoff % 8 == 0 && header.e_phoff < kPage &&
           segments <= (kPage - header.e_phoff) / sizeof(Elf64_Phdr);
  }
  SIPROF_SIGNAL_SAFE const Elf64_Phdr& segment(std::uint32_t at) const {
    const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(bytes);
    return reinterpret_cast<const Elf64_Phdr*>(bytes + header.e_phoff)[at];
  }
  SIPROF_SIGNAL_SAFE std::uint64_t layout() const {
    return layout_hash(reinterpret_cast<const char*>(&segment(0)), segments * sizeof(Elf64_Phdr));
  }
};

// The bytes of NT_GNU_BUILD_ID in the notes of one segment, zeros behind a shorter one.
SIPROF_SIGNAL_SAFE bool read_build_id(const FirstPage& page, const Elf64_Phdr& notes,
                                      std::uint8_t* build_id) {
  if (notes.p_offset >= kPage || notes.p_filesz > kPage - notes.p_offset || notes.p_offset % 4 != 0)
    return false;
  const char* at = page.bytes + notes.p_offset;
  const char* end = at + notes.p_filesz;
  while (static_cast<std::uint64_t>(end - at) >= sizeof(Elf64_Nhdr)) {
    const auto& note = *reinterpret_cast<const Elf64_Nhdr*>(at);
    const std::uint64_t name_bytes = (std::uint64_t{note.n_namesz} + 3) & ~std::uint64_t{3};
    const std::uint64_t bytes = (std::uint64_t{note.n_descsz} + 3) & ~std::uint64_t{3};
    const char* name = at + sizeof note;
    if (name_bytes + bytes > static_cast<std::uint64_t>(end - name)) return false;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && same_bytes(name, "GNU", 4)) {
      copy_bytes(build_id, name + 4, note.n_descsz < kBuildIdBytes ? note.n_descsz : kBuildIdBytes);
      return note.n_descsz != 0;
    }
    at = name + name_bytes + bytes;
  }
  return false;
}

SIPROF_SIGNAL_SAFE bool find_build_id(const FirstPage& page, std::uint8_t* build_id) {
  for (std::uint32_t i = 0; i < page.segments; ++i) {
    if (page.segment(i).p_type == PT_NOTE && read_build_id(page, page.segment(i), build_id)) return true;
  }
  return false;
}

// The address in the file of what is mapped from `offset` on. False: no code.
SIPROF_SIGNAL_SAFE bool file_address(const FirstPage& page, std::uint64_t offset, std::uint64_t* address) {
  for (std::uint32_t i = 0; i < page.segments; ++i) {
    const Elf64_Phdr& segment = page.segment(i);
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    if (offset < (segment.p_offset & ~(kPage - 1)) || offset >= segment.p_offset + segment.p_filesz) continue;
    *address = segment.p_vaddr + (offset - segment.p_offset);
    return true;
  }
  return false;
}

// Its place in the arena, 0: none.
SIPROF_SIGNAL_SAFE std::uint32_t find_table(const FoundArena& arena, const std::uint8_t* build_id) {
  const auto* index = reinterpret_cast<const ArenaIndexEntry*>(arena.base + kArenaIndexOffset);
  for (std::uint32_t probe = 0; probe < kArenaIndexProbes; ++probe) {
    const ArenaIndexEntry& entry = index[index_slot(build_id, probe)];
    const std::uint32_t table =
        entry.table.load(std::memory_order_acquire);  // pairs with the agent's last write
    if (table == 0) return 0;
    if (same_bytes(entry.build_id, build_id, kBuildIdBytes)) return table;
  }
  return 0;
}

SIPROF_SIGNAL_SAFE CodeRange range_of(const FoundArena& arena, const MapsLine& line, std::uint64_t header,
                                      FirstPage* page) {
  CodeRange range{line.start, line.end, 0, 0, line.has_file ? 0u : 1u};
  std::uint8_t build_id[kBuildIdBytes] = {};
  std::uint64_t address = 0;
  if (header == 0 || !page->read(header) || !find_build_id(*page, build_id)) return range;
  if (!file_address(*page, line.file_offset, &address)) return range;
  mix_layout(build_id, page->layout());
  range.bias = line.start - address;
  range.table = find_table(arena, build_id);
  return range;
}

SIPROF_SIGNAL_SAFE bool find_arena_of(int agent, char (&path)[kArenaPathBytes], FoundArena* arena) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (sys::call(SYS_getsockopt, agent, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0 || peer.pid <= 0)
    return false;
  TextBuffer text(path, sizeof(path));
  text.add("/proc/")
      .add_number(static_cast<std::uint64_t>(peer.pid))
      .add("/fd/")
      .add_number(kArenaDescriptor);
  *arena = find_arena(path);
  return arena->base != nullptr && arena->bytes >= kArenaTablesOffset;
}

}  // namespace

void write_first_code_map(SharedHeader* header, const MapsText& maps, std::uint32_t generation, int agent) {
  auto* map = const_cast<CodeMap*>(code_map_of(header));
  FoundArena arena{};
  if (maps.headers == nullptr || generation == kUnmapping || !find_arena_of(agent, map->arena_path, &arena))
    return;
  FirstPage page;
  MapsLine line{};
  std::uint32_t count = 0;
  for (const char* at = maps.text;
       count < kMaxHeaders && count < kMaxCodeRanges && take_line(maps, &at, &line);) {
    map->ranges[count] = range_of(arena, line, maps.headers[count], &page);
    ++count;
  }
  map->range_count = count;
  map->unmap_generation = generation;
  map->arena_bytes = arena.bytes;
  map->arena_id = arena.id;
  map->sequence.store(2, std::memory_order_release);  // pairs with read_tables()
}

}  // namespace siprof::shim
