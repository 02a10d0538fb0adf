// SPDX-License-Identifier: Apache-2.0
// Which glibc a process runs on, from the version that every libc.so.6 carries as text.
#pragma once

#include <string>

#include "absl/container/flat_hash_set.h"
#include "collector-client/unwind/module_map.h"

namespace siprof::client {

// "2.36"; empty when the process maps no glibc that can be read.
std::string libc_version(const ModuleMap& map);

// Before ModuleCache::evict().
void forget_libc_versions(const absl::flat_hash_set<const Module*>& modules);

}  // namespace siprof::client
