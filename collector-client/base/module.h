// SPDX-License-Identifier: Apache-2.0
// A file that code was mapped from, and an address in it: the vocabulary that
// unwinding, symbolizing and aggregating share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace siprof::client {

class ElfImage;  // symbolize/elf_image.h

// One per distinct file (by build-id, else by device, inode and mtime), shared
// by all processes that map it. Lives as long as the agent: pointers to it are
// stable and compare equal exactly when the code is the same.
struct Module {
  std::string path;      // as the process names it; "[vdso]" and "[anon]" have no file
  std::string build_id;  // lower-case hex, empty if the file has none
  // The first executable segment, in the file's own virtual addresses.
  std::uint64_t text_start = 0;
  std::uint64_t text_end = 0;
  std::uint64_t text_file_offset = 0;
  // Null for code without a file and for files that could not be read.
  std::shared_ptr<const ElfImage> image;
};

// Stands where a frame of Python code has no file that the loader knows.
inline const Module* python_code() {
  static const Module* const code = [] {
    auto* made = new Module;
    made->path = "[python]";
    return made;
  }();
  return code;
}

// Where a frame is. `address` is a virtual address of the module's file, or the
// process's own address where module is null. For a return address it is one
// less than the address the call returns to, so that it lies inside the call.
// Where module is python_code() it is a number of python/functions.h: a function and a line.
struct CodeAddress {
  const Module* module = nullptr;
  std::uint64_t address = 0;

  bool is_python() const { return module == python_code(); }

  friend bool operator==(const CodeAddress&, const CodeAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const CodeAddress& a) {
    return H::combine(std::move(h), a.module, a.address);
  }
};

}  // namespace siprof::client
