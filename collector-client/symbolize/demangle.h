// SPDX-License-Identifier: Apache-2.0
// From the linker's name to the name that people read. Runs in the symbol worker.
#pragma once

#include <string>
#include <string_view>

namespace siprof::client {

// `_ZN1R2goEi` is `R::go(int)`, Rust and D likewise, other names stay; at most 1 KiB.
// Symbol versions ("@GLIBC_2.17") are dropped, and so are the marks of compiler clones (.part.0,
// .constprop.1, .isra.0, .cold, .lto_priv.2, .llvm.123): a clone is the same function to whoever
// reads a profile, and its number changes from build to build, which would break history.
std::string demangle(std::string_view linkage_name);

// Of a type, as std::type_info names it: `St13runtime_error` is `std::runtime_error`. At most 1 KiB, and in
// time bounded by that: the name may come from the process, and this runs where samples are taken in.
std::string demangle_type(std::string_view type_name);

// The linkage name without version and clone marks.
std::string_view without_clone_suffix(std::string_view linkage_name);

}  // namespace siprof::client
