// SPDX-License-Identifier: Apache-2.0
// The functions that a file's symbol tables name, and its PLT stubs. Runs in the symbol worker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector-client/symbolize/elf_image.h"

struct Elf_Scn;

namespace siprof::client {

class SymbolTable {
 public:
  // Adds .symtab, .dynsym and the .symtab inside .gnu_debugdata (xz). Call it for the file and its
  // debug file, then finish().
  void add(const ElfImage& image);
  // Adds `name@plt` for the stubs of .plt, .plt.sec and .plt.got.
  void add_plt(const ElfImage& image);
  void finish();

  struct Symbol {
    std::uint64_t start = 0;
    std::uint64_t end = 0;  // 0 until finish(): the table gives no size
    int rank = 0;           // of names for one address the highest wins
    std::string name;       // without version
  };

  // The symbol that covers the address. Null: none does, the one before ends earlier.
  const Symbol* find(std::uint64_t address) const;
  std::size_t size() const { return symbols_.size(); }

 private:
  void add_tables(const ElfImage& image, bool with_compressed);
  void add_section(Elf* elf, Elf_Scn* section);
  void add_compressed(Elf_Scn* section);

  std::vector<Symbol> symbols_;
  std::vector<std::uint64_t> longest_before_;  // greatest end of symbols [0, i]
};

}  // namespace siprof::client
