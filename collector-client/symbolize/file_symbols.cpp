// SPDX-License-Identifier: Apache-2.0
// See file_symbols.h.
#include "collector-client/symbolize/file_symbols.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <string_view>

#include "absl/strings/escaping.h"
#include "collector-client/symbolize/demangle.h"

namespace siprof::client {
namespace {

bool has_debug_info(const ElfImage& image) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) return false;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type == SHT_NOBITS) continue;
    const char* name = elf_strptr(image.elf(), names, header.sh_name);
    const std::string_view text = name != nullptr ? name : "";
    if (text == ".debug_info" || text == ".zdebug_info") return true;
  }
  return false;
}

std::uint32_t crc_of(int fd) {
  std::array<unsigned char, 65536> buffer;
  uLong crc = crc32(0, nullptr, 0);
  ssize_t count = 0;
  for (off_t at = 0; (count = pread(fd, buffer.data(), buffer.size(), at)) > 0; at += count) {
    crc = crc32(crc, buffer.data(), static_cast<uInt>(count));
  }
  return static_cast<std::uint32_t>(crc);
}

// A mangled symbol says more than DWARF's plain name; and where a library's source has a name of
// its own for what it exports (__GI___libc_free), the exported one (free) is what its callers know.
bool says_more(std::string_view symbol, std::string_view dwarf_name) {
  if (dwarf_name.empty() || symbol.starts_with("_Z") || symbol.starts_with("_R")) return true;
  return dwarf_name.starts_with("__") && !symbol.starts_with('_');
}

}  // namespace

FileDescription describe(const ElfImage& image, bool with_crc) {
  FileDescription result;
  result.build_id = image.build_id();
  result.has_dwarf = has_debug_info(image);
  GElf_Word crc = 0;
  if (const char* link = dwelf_elf_gnu_debuglink(image.elf(), &crc); link != nullptr) {
    result.debug_link = link;
    result.debug_link_crc = crc;
  }
  if (result.has_dwarf) {
    Dwarf* dwarf = dwarf_begin_elf(image.elf(), DWARF_C_READ, nullptr);
    const char* name = nullptr;
    const void* build_id = nullptr;
    const ssize_t size = dwarf != nullptr ? dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &build_id) : 0;
    if (size > 0) {
      result.alternate_link = name;
      result.alternate_build_id =
          absl::BytesToHexString({static_cast<const char*>(build_id), static_cast<std::size_t>(size)});
    }
    if (dwarf != nullptr) dwarf_end(dwarf);
  }
  if (with_crc && image.descriptor() >= 0) result.crc = crc_of(image.descriptor());
  return result;
}

FileSymbols::FileSymbols(std::shared_ptr<const ElfImage> file, std::shared_ptr<const ElfImage> debug,
                         std::shared_ptr<const ElfImage> alternate, bool use_dwarf)
    : file_(std::move(file)), debug_(std::move(debug)), alternate_(std::move(alternate)) {
  symbols_.add(*file_);
  if (debug_ != nullptr) symbols_.add(*debug_);
  symbols_.add_plt(*file_);
  symbols_.finish();
  if (!use_dwarf) return;
  const ElfImage& with_dwarf = debug_ != nullptr ? *debug_ : *file_;
  dwarf_ = dwarf_begin_elf(with_dwarf.elf(), DWARF_C_READ, nullptr);
  if (dwarf_ == nullptr) return;
  if (alternate_ != nullptr) alternate_dwarf_ = dwarf_begin_elf(alternate_->elf(), DWARF_C_READ, nullptr);
  if (alternate_dwarf_ != nullptr) dwarf_setalt(dwarf_, alternate_dwarf_);
  index_ = std::make_unique<DwarfIndex>(dwarf_);
}

FileSymbols::~FileSymbols() {
  index_.reset();
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
  if (alternate_dwarf_ != nullptr) dwarf_end(alternate_dwarf_);
}

std::vector<SourceFrame> FileSymbols::frames(std::uint64_t address) {
  std::vector<SourceFrame> frames;
  if (index_ != nullptr) frames = index_->frames(address);
  const SymbolTable::Symbol* symbol = symbols_.find(address);
  if (symbol != nullptr) {
    if (frames.empty()) frames.emplace_back();
    SourceFrame& compiled = frames.back();
    compiled.system_name = symbol->name.substr(0, kMaxNameBytes);
    if (says_more(symbol->name, compiled.name)) compiled.name = demangle(symbol->name);
  }
  if (!frames.empty() && frames.back().name.empty()) frames.clear();
  return frames;
}

}  // namespace siprof::client
