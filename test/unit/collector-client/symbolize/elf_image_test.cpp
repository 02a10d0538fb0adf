// SPDX-License-Identifier: Apache-2.0
// Files that are whole, damaged, hostile or shrinking.
#include "collector-client/symbolize/elf_image.h"

#include <elf.h>

#include <cstring>
#include <random>

#include "collector-client/symbolize/bus_guard.h"
#include "collector-client/symbolize/file_symbols.h"
#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

using testing::fixture;
using testing::open_image;

// All that is done with a file, over any bytes.
void use(const std::string& bytes) {
  const auto image = ElfImage::copy(std::as_bytes(std::span(bytes)));
  if (!image.ok()) return;
  describe(**image, /*with_crc=*/false);
  FileSymbols symbols(*image, nullptr, nullptr, /*use_dwarf=*/true);
  for (const Segment& segment : (*image)->segments()) {
    for (int i = 0; i < 20; ++i) symbols.frames(segment.address + static_cast<std::uint64_t>(i) * 61);
    (*image)->at(segment.address + segment.file_bytes - 1);
    (*image)->address_of_offset(segment.file_offset);
  }
}

}  // namespace

TEST_CASE("An image tells build-id, segments and the address of an offset") {
  const auto image = open_image(fixture("libnames_full.so"));
  CHECK(image->build_id().size() == 40);
  REQUIRE(image->segments().size() >= 2);
  for (const Segment& segment : image->segments()) {
    if (!segment.executable) continue;
    CHECK(image->address_of_offset(segment.file_offset) == segment.address);
    CHECK(image->at(segment.address).size() == segment.file_bytes);
    CHECK(image->at(segment.address + segment.file_bytes - 1).size() == 1);
  }
  CHECK(image->at(~0ull).empty());
  CHECK(image->eh_frame_header() != 0);
}

TEST_CASE("Code whose address in the file is not its offset is found") {
  std::string bytes = testing::read_all(fixture("libnames_full.so"));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    char* at = bytes.data() + header.e_phoff + static_cast<std::size_t>(i) * sizeof segment;
    std::memcpy(&segment, at, sizeof segment);
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    segment.p_vaddr += 0x200000;
    std::memcpy(at, &segment, sizeof segment);
    const auto image = ElfImage::copy(std::as_bytes(std::span(bytes)));
    REQUIRE(image.ok());
    CHECK((*image)->address_of_offset(segment.p_offset) == segment.p_vaddr);
    CHECK((*image)->address_of_offset(segment.p_offset + 0x10) == segment.p_vaddr + 0x10);
    CHECK((*image)->at(segment.p_vaddr).size() == segment.p_filesz);
  }
}

TEST_CASE("The vDSO has symbols of its own") {
  const auto vdso = ElfImage::vdso();
  REQUIRE(vdso != nullptr);
  SymbolTable table;
  table.add(*vdso);
  table.finish();
  bool found = false;
  for (std::uint64_t address = 0; address < 0x4000; address += 4) {
    const auto* symbol = table.find(address);
    found |= symbol != nullptr && symbol->name == "__vdso_clock_gettime";
  }
  CHECK(found);
}

TEST_CASE("What is not a 64-bit x86-64 ELF file is refused") {
  CHECK_FALSE(ElfImage::copy({}).ok());
  CHECK_FALSE(ElfImage::copy(std::as_bytes(std::span("\177ELF", 4))).ok());
  CHECK_FALSE(ElfImage::open(UniqueFd(::open("/dev/null", O_RDONLY)), nullptr).ok());
  CHECK_FALSE(ElfImage::open(UniqueFd(::open("/proc/self/maps", O_RDONLY)), nullptr).ok());
}

TEST_CASE("Truncated files are used as far as they go") {
  const std::string whole = testing::read_all(fixture("libnames_full.so"));
  for (std::size_t size = 0; size < whole.size(); size += 211) use(whole.substr(0, size));
}

TEST_CASE("Files with random damage never crash the reader") {
  const std::string whole = testing::read_all(fixture("libnames_full.so"));
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    std::string bytes = whole;
    // Headers, section headers and any place: the first two decide most about what is read.
    const std::size_t reach = round % 3 == 0 ? 64 + 56 * 12 : bytes.size();
    for (int i = 0; i < 1 + round % 40; ++i) {
      const std::size_t from = round % 3 == 1 ? bytes.size() - 64 * 40 : 0;
      bytes[from + random() % (reach - from)] = static_cast<char>(random());
    }
    use(bytes);
  }
}

TEST_CASE("A file that is truncated while it is mapped reads as zeros") {
  install_bus_guard();
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/shrinking.so";
  testing::write_all(path, testing::read_all(fixture("libnames_full.so")));
  const auto image = open_image(path);
  const std::uint64_t before = bus_guard_pages();
  REQUIRE(::truncate(path.c_str(), 0) == 0);
  CHECK(image->at(image->eh_frame_header()).front() == std::byte{0});
  CHECK(bus_guard_pages() > before);
}

}  // namespace siprof::client
