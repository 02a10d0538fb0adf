// SPDX-License-Identifier: Apache-2.0
// Reads ELF and program headers of an untrusted file, all offsets checked.
#include "collector-client/cli/elf_check.h"

#include <elf.h>
#include <fcntl.h>
#include <gelf.h>

#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {
namespace {

template <typename T>
bool copy_at(std::string_view bytes, std::uint64_t offset, T* into) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(into, bytes.data() + offset, sizeof(T));
  return true;
}

std::string judge_loader(const std::string& loader) {
  if (loader.find("ld-musl") != std::string::npos) {
    return absl::StrCat("it is built for the C library musl (", loader, "); siprof needs glibc");
  }
  if (loader.find("ld-linux-x86-64.so") == std::string::npos) {
    return absl::StrCat("its loader is ", loader, ", not that of glibc");
  }
  return "";
}

}  // namespace

std::string why_not_preloadable(std::string_view start) {
  Elf64_Ehdr header;
  if (!start.starts_with("\x7f"
                         "ELF"))
    return "it is neither an ELF program nor a script that begins with #!";
  if (start.size() > EI_CLASS && start[EI_CLASS] == ELFCLASS32) return "it is a 32-bit program";
  if (!copy_at(start, 0, &header)) return "its ELF header is cut off";
  if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
    return "it is built for another processor than x86-64";
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return "it is an ELF file, but no program";
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!copy_at(start, header.e_phoff + std::uint64_t{i} * header.e_phentsize, &segment)) {
      return "its program headers are cut off";
    }
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_offset > start.size() || segment.p_filesz > start.size() - segment.p_offset) {
      return "its loader's name is cut off";
    }
    const std::string_view name = start.substr(segment.p_offset, segment.p_filesz);
    return judge_loader(std::string(name.substr(0, name.find('\0'))));
  }
  return "it is linked statically: nothing can be preloaded. Link it dynamically (no -static)";
}

bool exports_function(const std::string& path, std::string_view name) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || elf_version(EV_CURRENT) == EV_NONE) return false;
  const std::unique_ptr<Elf, decltype(&elf_end)> elf(elf_begin(fd.get(), ELF_C_READ_MMAP, nullptr), &elf_end);
  for (Elf_Scn* section = nullptr;
       elf != nullptr && (section = elf_nextscn(elf.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNSYM || header.sh_entsize == 0)
      continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    GElf_Sym symbol;
    for (int i = 0; data != nullptr && gelf_getsym(data, i, &symbol) != nullptr; ++i) {
      if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
      const char* text = elf_strptr(elf.get(), header.sh_link, symbol.st_name);
      if (text != nullptr && name == text) return true;
    }
  }
  return false;
}

}  // namespace siprof::client
