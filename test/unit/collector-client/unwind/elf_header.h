// SPDX-License-Identifier: Apache-2.0
// The header of a made-up file, without segments and sections.
#pragma once

#include <elf.h>

#include <cstring>

namespace siprof::client {

inline Elf64_Ehdr elf_header() {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_version = EV_CURRENT;
  header.e_machine = EM_X86_64;
  header.e_ehsize = sizeof header;
  return header;
}

}  // namespace siprof::client
