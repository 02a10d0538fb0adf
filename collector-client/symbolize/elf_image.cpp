// SPDX-License-Identifier: Apache-2.0
// See elf_image.h.
#include "collector-client/symbolize/elf_image.h"

#include <gelf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMaxFileBytes = 8ull << 30;
constexpr std::size_t kMaxSegments = 4096;  // real files have fewer than 32
constexpr std::size_t kMaxBuildIdBytes = 64;

bool is_x86_64(std::span<const std::byte> bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64;
}

// Lower-case hex; empty if these notes hold none.
std::string build_id_in(Elf_Data* notes) {
  if (notes == nullptr || notes->d_buf == nullptr) return "";
  std::size_t offset = 0, name = 0, descriptor = 0;
  GElf_Nhdr note;
  while ((offset = gelf_getnote(notes, offset, &note, &name, &descriptor)) > 0) {
    const char* bytes = static_cast<const char*>(notes->d_buf);
    const bool gnu = note.n_namesz == 4 && std::memcmp(bytes + name, "GNU", 4) == 0;
    if (!gnu || note.n_type != NT_GNU_BUILD_ID || note.n_descsz > kMaxBuildIdBytes) continue;
    return absl::BytesToHexString({bytes + descriptor, note.n_descsz});
  }
  return "";
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ElfImage>> ElfImage::open(UniqueFd file,
                                                               std::shared_ptr<FileOpener> root) {
  struct stat status;
  if (fstat(file.get(), &status) != 0) return absl::ErrnoToStatus(errno, "fstat");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (!S_ISREG(status.st_mode) || size < sizeof(Elf64_Ehdr) || size > kMaxFileBytes) {
    return absl::InvalidArgumentError("not a regular file of a plausible size");
  }
  // Writable, though private: libelf changes the headers of compressed sections in place.
  void* start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.get(), 0);
  if (start == MAP_FAILED) return absl::ErrnoToStatus(errno, "mmap");
  // Tables are read here and there; reading ahead would only make the agent larger.
  madvise(start, size, MADV_RANDOM);
  std::shared_ptr<ElfImage> image(new ElfImage);
  image->file_ = std::move(file);
  image->root_ = std::move(root);
  image->bytes_ = {static_cast<const std::byte*>(start), size};
  absl::Status headers = image->read_headers();
  if (!headers.ok()) return headers;
  return image;
}

absl::StatusOr<std::shared_ptr<const ElfImage>> ElfImage::copy(std::span<const std::byte> bytes) {
  std::shared_ptr<ElfImage> image(new ElfImage);
  image->owned_.assign(bytes.begin(), bytes.end());
  image->bytes_ = image->owned_;
  absl::Status headers = image->read_headers();
  if (!headers.ok()) return headers;
  return image;
}

std::shared_ptr<const ElfImage> ElfImage::vdso() {
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(getauxval(AT_SYSINFO_EHDR));
  if (header == nullptr) return nullptr;
  // The kernel's own image: its size is where the section headers end.
  const std::size_t size = header->e_shoff + std::size_t{header->e_shnum} * header->e_shentsize;
  auto image = copy({reinterpret_cast<const std::byte*>(header), size});
  return image.ok() ? *image : nullptr;
}

ElfImage::~ElfImage() {
  if (elf_ != nullptr) elf_end(elf_);
  if (owned_.empty() && !bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

absl::Status ElfImage::read_headers() {
  if (!is_x86_64(bytes_)) return absl::InvalidArgumentError("not a 64-bit x86-64 ELF file");
  elf_version(EV_CURRENT);
  // libelf only reads what it is given; its interface lacks the const.
  elf_ = elf_memory(reinterpret_cast<char*>(const_cast<std::byte*>(bytes_.data())), bytes_.size());
  std::size_t count = 0;
  if (elf_ == nullptr || elf_getphdrnum(elf_, &count) != 0 || count > kMaxSegments) {
    return absl::InvalidArgumentError(absl::StrCat("damaged ELF headers: ", elf_errmsg(-1)));
  }
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf_, static_cast<int>(i), &header) == nullptr) continue;
    if (header.p_type == PT_GNU_EH_FRAME) eh_frame_header_ = header.p_vaddr;
    if (header.p_type != PT_LOAD) continue;
    segments_.push_back({.address = header.p_vaddr,
                         .memory_bytes = header.p_memsz,
                         .file_offset = header.p_offset,
                         .file_bytes = header.p_filesz,
                         .executable = (header.p_flags & PF_X) != 0,
                         .writable = (header.p_flags & PF_W) != 0});
  }
  read_layout();
  read_build_id();
  return absl::OkStatus();
}

void ElfImage::read_layout() {
  Elf64_Ehdr header;
  std::memcpy(&header, bytes_.data(), sizeof header);
  const std::uint64_t size = std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (header.e_phoff > bytes_.size() || size > bytes_.size() - header.e_phoff) return;
  layout_ = layout_hash(reinterpret_cast<const char*>(bytes_.data()) + header.e_phoff, size);
}

void ElfImage::read_build_id() {
  std::size_t count = 0;
  elf_getphdrnum(elf_, &count);
  for (std::size_t i = 0; i < count && build_id_.empty(); ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf_, static_cast<int>(i), &header) == nullptr || header.p_type != PT_NOTE) continue;
    const Elf_Type type = header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
    build_id_ = build_id_in(
        elf_getdata_rawchunk(elf_, static_cast<std::int64_t>(header.p_offset), header.p_filesz, type));
  }
  if (count != 0) return;
  // A file for debug information alone, as dwz makes it, is all sections.
  for (Elf_Scn* section = nullptr; build_id_.empty() && (section = elf_nextscn(elf_, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr && header.sh_type == SHT_NOTE)
      build_id_ = build_id_in(elf_getdata(section, nullptr));
  }
}

std::string ElfImage::cache_key() const {
  struct stat status;
  if (build_id_.empty() || fstat(file_.get(), &status) != 0) return "";
  return absl::StrCat(build_id_, "-", absl::Hex(status.st_size), "-", absl::Hex(layout_), "-", status.st_uid);
}

std::span<const std::byte> ElfImage::at(std::uint64_t address) const {
  for (const Segment& segment : segments_) {
    const std::uint64_t offset = address - segment.address;
    if (address < segment.address || offset >= segment.file_bytes) continue;
    if (segment.file_offset > bytes_.size() || offset >= bytes_.size() - segment.file_offset) return {};
    const auto rest = bytes_.subspan(segment.file_offset + offset);
    return rest.first(std::min<std::uint64_t>(rest.size(), segment.file_bytes - offset));
  }
  return {};
}

std::optional<std::uint64_t> ElfImage::address_of_offset(std::uint64_t file_offset) const {
  constexpr std::uint64_t kPageMask = 4095;
  const Segment* found = nullptr;
  for (const Segment& segment : segments_) {
    if (!segment.executable) continue;
    // A mapping covers whole pages around the segment's bytes; two segments may share a page of the
    // file, there the one that begins in it is meant.
    const std::uint64_t first = segment.file_offset & ~kPageMask;
    const std::uint64_t size = segment.file_bytes + (segment.file_offset & kPageMask);
    if (file_offset < first || file_offset - first >= ((size + kPageMask) & ~kPageMask)) continue;
    if (found == nullptr || file_offset == first) found = &segment;
    if (file_offset == first) break;
  }
  if (found == nullptr) return std::nullopt;
  return found->address - found->file_offset + file_offset;
}

}  // namespace siprof::client
