// SPDX-License-Identifier: Apache-2.0
// One ELF file, opened: where its segments, unwind tables and build-id are. Used by
// unwind/ (call-frame information) and handed by descriptor to the symbol worker,
// which alone reads symbols and DWARF.
//
// The file belongs to the profiled process and may be damaged, hostile or shrinking:
// every offset is checked here or by libelf, and bus_guard.h turns the SIGBUS of a mapped
// file that was truncated into zero bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector-client/symbolize/file_opener.h"

struct Elf;

namespace siprof::client {

// A PT_LOAD. Addresses are the file's own.
struct Segment {
  std::uint64_t address = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;
  bool executable = false;
  bool writable = false;
};

class ElfImage {
 public:
  // Maps the file. Takes the descriptor over and keeps it for the symbol worker.
  // `root` is where the file's separate debug files are looked for; may be null.
  // Errors: INVALID_ARGUMENT not a 64-bit little-endian x86-64 ELF file of at most 8 GiB.
  static absl::StatusOr<std::shared_ptr<const ElfImage>> open(UniqueFd file,
                                                              std::shared_ptr<FileOpener> root);
  // A copy of an image in memory, such as the vDSO's.
  static absl::StatusOr<std::shared_ptr<const ElfImage>> copy(std::span<const std::byte> bytes);
  // This process's vDSO: every process of this kernel has the same (64-bit) one. Null without one.
  static std::shared_ptr<const ElfImage> vdso();

  ~ElfImage();
  ElfImage(const ElfImage&) = delete;
  ElfImage& operator=(const ElfImage&) = delete;

  const std::string& build_id() const { return build_id_; }  // lower-case hex, empty without
  std::uint64_t layout() const { return layout_; }           // layout_hash() of its program headers
  // Tells the file from all others for good: build-id, size, layout and owner, who could forge one. Empty
  // without a build-id.
  std::string cache_key() const;
  const std::vector<Segment>& segments() const { return segments_; }

  // What the file holds at an address of its own, up to the end of the segment's bytes in
  // the file; empty where no segment has any. Writable segments differ in a running process.
  std::span<const std::byte> at(std::uint64_t address) const;

  // The address of the file that a mapping of `file_offset` shows there. nullopt: no
  // executable segment covers the offset.
  std::optional<std::uint64_t> address_of_offset(std::uint64_t file_offset) const;

  // PT_GNU_EH_FRAME, 0 without one.
  std::uint64_t eh_frame_header() const { return eh_frame_header_; }

  Elf* elf() const { return elf_; }  // one thread at a time
  int descriptor() const { return file_.get(); }
  const std::shared_ptr<FileOpener>& root() const { return root_; }

 private:
  ElfImage() = default;
  absl::Status read_headers();
  void read_layout();
  void read_build_id();

  UniqueFd file_;
  std::shared_ptr<FileOpener> root_;
  std::vector<std::byte> owned_;
  std::span<const std::byte> bytes_;
  Elf* elf_ = nullptr;
  std::vector<Segment> segments_;
  std::uint64_t eh_frame_header_ = 0;
  std::string build_id_;
  std::uint64_t layout_ = 0;
};

}  // namespace siprof::client
