// SPDX-License-Identifier: Apache-2.0
#include "shim/earlier_allocator.h"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>

#include <atomic>

#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/hook.h"
#include "shim/probe/allocator.h"
#include "shim/probe/heap.h"
#include "shim/real.h"

namespace siprof::shim {
namespace {

struct Wrapper {
  const char* name;
  void* ours;
};
const Wrapper kWrappers[] = {
#define SIPROF_INTERPOSE(name, result, parameters)
#define SIPROF_INTERPOSE_VERSION(own, symbol, at, version, result, parameters)
#define SIPROF_INTERPOSE_OWN(name, result, parameters) {#name, reinterpret_cast<void*>(siprof_##name)},
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE_OWN
#undef SIPROF_INTERPOSE_VERSION
#undef SIPROF_INTERPOSE
};
constexpr std::size_t kWrapperCount = sizeof kWrappers / sizeof *kWrappers;

struct Earlier {
  const void* module;
  void* theirs[kWrapperCount];  // null: it doesn't have that one
};

constexpr std::uint64_t kPage = 4096;

// One word of a page that may be read-only. False: the kernel refuses.
bool write_word(std::uint64_t at, std::uint64_t value, bool is_writable, int protection) {
  auto* word = reinterpret_cast<std::atomic<std::uint64_t>*>(at);
  const std::uint64_t page = at & ~(kPage - 1);
  if (!is_writable && sys::call(SYS_mprotect, page, kPage, protection | PROT_WRITE) != 0) return false;
  word->store(value, std::memory_order_relaxed);  // others may be calling through it
  if (!is_writable) sys::call(SYS_mprotect, page, kPage, protection);
  return true;
}

struct Segment {
  bool is_found;
  int protection;
};

// As the file says; what was made read-only after relocation is.
Segment segment_of(const dl_phdr_info& module, std::uint64_t at) {
  Segment segment{};
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const Elf64_Phdr& header = module.dlpi_phdr[i];
    const std::uint64_t start = module.dlpi_addr + header.p_vaddr;
    if (at < start || at - start >= header.p_memsz) continue;
    if (header.p_type == PT_GNU_RELRO) return {true, PROT_READ};
    if (header.p_type != PT_LOAD) continue;
    segment = {true, ((header.p_flags & PF_R) != 0 ? PROT_READ : 0) |
                         ((header.p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
                         ((header.p_flags & PF_X) != 0 ? PROT_EXEC : 0)};
  }
  return segment;
}

bool write_in(const dl_phdr_info& module, std::uint64_t at, std::uint64_t value) {
  const Segment segment = segment_of(module, at);
  return segment.is_found &&
         write_word(at, value, (segment.protection & PROT_WRITE) != 0, segment.protection);
}

struct Relocations {
  const Elf64_Rela* first;
  std::uint64_t count;
};

void bind_to_us(const dl_phdr_info& module, const Earlier& earlier, Relocations relocations) {
  for (std::uint64_t i = 0; i < relocations.count; ++i) {
    const Elf64_Rela& relocation = relocations.first[i];
    const auto type = ELF64_R_TYPE(relocation.r_info);
    if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64) continue;
    const std::uint64_t at = module.dlpi_addr + relocation.r_offset;
    const std::uint64_t bound = *reinterpret_cast<const std::uint64_t*>(at);
    for (std::size_t k = 0; bound != 0 && k < kWrapperCount; ++k) {
      if (bound != reinterpret_cast<std::uint64_t>(earlier.theirs[k])) continue;
      write_in(module, at, reinterpret_cast<std::uint64_t>(kWrappers[k].ours));
      break;
    }
  }
}

const Elf64_Dyn* dynamic_of(const dl_phdr_info& module) {
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    if (module.dlpi_phdr[i].p_type == PT_DYNAMIC)
      return reinterpret_cast<const Elf64_Dyn*>(module.dlpi_addr + module.dlpi_phdr[i].p_vaddr);
  }
  return nullptr;
}

void bind_module(const dl_phdr_info& module, const Elf64_Dyn* dynamic, const Earlier& earlier) {
  Relocations plt{}, others{};
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    const std::uint64_t value = dynamic->d_un.d_val;
    const auto* table =
        reinterpret_cast<const Elf64_Rela*>(value < module.dlpi_addr ? value + module.dlpi_addr : value);
    if (dynamic->d_tag == DT_JMPREL) plt.first = table;
    if (dynamic->d_tag == DT_PLTRELSZ) plt.count = value / sizeof(Elf64_Rela);
    if (dynamic->d_tag == DT_RELA) others.first = table;
    if (dynamic->d_tag == DT_RELASZ) others.count = value / sizeof(Elf64_Rela);
  }
  bind_to_us(module, earlier, plt);
  bind_to_us(module, earlier, others);
}

// Who looks for them from now on finds ours: the next in the list.
void hide(const dl_phdr_info& module, const Earlier& earlier) {
  for (std::size_t k = 0; k < kWrapperCount; ++k) {
    const std::uint64_t* value =
        earlier.theirs[k] != nullptr ? value_of_symbol(earlier.module, kWrappers[k].name) : nullptr;
    if (value != nullptr) write_in(module, reinterpret_cast<std::uint64_t>(value), 0);
  }
}

int visit(dl_phdr_info* module, std::size_t, void* data) {
  const auto& earlier = *static_cast<const Earlier*>(data);
  const Elf64_Dyn* dynamic = dynamic_of(*module);
  if (dynamic == nullptr || dynamic == _DYNAMIC) return 0;
  if (dynamic == static_cast<const link_map*>(earlier.module)->l_ld)
    hide(*module, earlier);
  else
    bind_module(*module, dynamic, earlier);
  return 0;
}

// One that passes on what it is asked (a tracer of allocations) comes by here without our doing.
bool comes_by_here(const Earlier& earlier) {
  void* (*malloc)(std::size_t) = nullptr;
  void (*free)(void*) = nullptr;
  for (std::size_t k = 0; k < kWrapperCount; ++k) {
    if (equal(kWrappers[k].name, "malloc")) malloc = reinterpret_cast<decltype(malloc)>(earlier.theirs[k]);
    if (equal(kWrappers[k].name, "free")) free = reinterpret_cast<decltype(free)>(earlier.theirs[k]);
  }
  if (malloc == nullptr || free == nullptr) return true;
  constexpr std::int64_t kEnough = 1 << 20;
  this_thread().heap_left = kEnough;
  void* block = malloc(1);
  const bool comes = this_thread().heap_left != kEnough;
  free(block);
  return comes;
}

}  // namespace

void stand_before_earlier_allocator() {
  if (!kind_is_on(EventKind::kHeap)) return;
  // Opened by the program itself (dlopen): it is libc that came before.
  if (find_before("gnu_get_libc_version").address != nullptr) return;
  Earlier earlier{};
  earlier.module = find_before("malloc").module;
  if (earlier.module == nullptr || is_program(earlier.module) || !is_fit_to_sample(earlier.module)) return;
  for (std::size_t k = 0; k < kWrapperCount; ++k)
    earlier.theirs[k] = definition_of(earlier.module, kWrappers[k].name);
  if (comes_by_here(earlier)) return;
  Definition definitions[kWrapperCount];
  for (std::size_t k = 0; k < kWrapperCount; ++k) definitions[k] = {earlier.theirs[k], earlier.module};
  const char* names[kWrapperCount];
  for (std::size_t k = 0; k < kWrapperCount; ++k) names[k] = kWrappers[k].name;
  if (!adopt_allocator(names, definitions, kWrapperCount)) return;
  dl_iterate_phdr(visit, &earlier);
}

}  // namespace siprof::shim
