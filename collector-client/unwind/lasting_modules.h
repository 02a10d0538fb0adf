// SPDX-License-Identifier: Apache-2.0
// Modules that are never unmapped: the executable, the libraries that it is linked with and all that those
// need. Asked for samples that were taken in an unknown state of a process's mappings.
#pragma once

#include "absl/container/flat_hash_set.h"
#include "collector-client/unwind/module_map.h"

namespace siprof::client {

// `executable` may be null. Libraries are found by the names by which ELF files ask for them (DT_NEEDED): the
// DT_SONAME of a mapped module, else its file's name.
absl::flat_hash_set<const Module*> lasting_modules(const ModuleMap& map, const Module* executable);

}  // namespace siprof::client
