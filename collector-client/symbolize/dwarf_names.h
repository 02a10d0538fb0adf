// SPDX-License-Identifier: Apache-2.0
// What a function is called according to DWARF. Runs in the symbol worker.
#pragma once

#include <elfutils/libdw.h>

#include <string>

namespace siprof::client {

struct FunctionName {
  std::string name;         // demangled, scope and parameter types for C++
  std::string system_name;  // linkage name, else the plain one
};

// `function` is a DW_TAG_subprogram or DW_TAG_inlined_subroutine. Both empty: it has no name.
// Where the compiler gives no linkage name (C++ functions of one file: static, anonymous
// namespace, lambdas) the name is put together the way the demangler writes it.
FunctionName function_name(Dwarf_Die* function);

}  // namespace siprof::client
