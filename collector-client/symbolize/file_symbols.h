// SPDX-License-Identifier: Apache-2.0
// All that is known about one file's addresses: its symbols, its DWARF or that of its separate
// debug file. Runs in the symbol worker (and, over trusted files, in tests).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/symbolize/dwarf_index.h"
#include "collector-client/symbolize/elf_image.h"
#include "collector-client/symbolize/symbol_table.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {

class FileSymbols {
 public:
  // `debug` and `alternate` may be null. Without `use_dwarf` symbol tables only.
  FileSymbols(std::shared_ptr<const ElfImage> file, std::shared_ptr<const ElfImage> debug,
              std::shared_ptr<const ElfImage> alternate, bool use_dwarf);
  ~FileSymbols();
  FileSymbols(const FileSymbols&) = delete;
  FileSymbols& operator=(const FileSymbols&) = delete;

  // Innermost first; empty if neither a symbol nor DWARF covers the address.
  std::vector<SourceFrame> frames(std::uint64_t address);

 private:
  std::shared_ptr<const ElfImage> file_, debug_, alternate_;
  SymbolTable symbols_;
  Dwarf* alternate_dwarf_ = nullptr;
  Dwarf* dwarf_ = nullptr;
  std::unique_ptr<DwarfIndex> index_;
};

// What links the file to its companions. `with_crc` reads all of it.
FileDescription describe(const ElfImage& image, bool with_crc);

}  // namespace siprof::client
