// SPDX-License-Identifier: Apache-2.0
// The functions of an interpreter that are called with its lock held: looked up in the module that brings it,
// none is linked. What is used of structures is what the stable ABI promises; objects stay opaque.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/base/attrs.h"

namespace siprof::shim {

struct PyObject;

struct PyMethodDef {
  const char* name;
  void* function;
  int flags;
  const char* doc;
};
inline constexpr int kMethodNoArgs = 4;
inline constexpr int kMethodOne = 8;
inline constexpr int kMethodFast = 0x80;  // 3.7 and later

struct PyMemAllocatorEx {
  void* context;
  void* (*malloc)(void* context, std::size_t bytes);
  void* (*calloc)(void* context, std::size_t count, std::size_t bytes);
  void* (*realloc)(void* context, void* block, std::size_t bytes);
  void (*free)(void* context, void* block);
};
enum class PyMemDomain : int { kRaw, kMem, kObject };

// Fields are named as the interpreter names them, without `Py`.
struct PythonApi {
#define SIPROF_PYTHON_FUNCTION(result, field, parameters, name) result(*field) parameters;
#define SIPROF_PYTHON_OPTIONAL SIPROF_PYTHON_FUNCTION
#define SIPROF_PYTHON_VARIABLE(type, field, name) type field;
#include "shim/core/python_api.def"
#undef SIPROF_PYTHON_VARIABLE
#undef SIPROF_PYTHON_OPTIONAL
#undef SIPROF_PYTHON_FUNCTION
};

// Of the first module that brings an interpreter; valid while find_python_api() says so, and in whatever
// the interpreter itself calls.
extern SIPROF_OWN PythonApi g_python;

// Looks for it unless it is known and still there: among what the program started with, and if it isn't there
// and `among_opened`, among all, which takes the lock of dl_iterate_phdr. False: there is none, or not one
// with all of the above. Context: any thread, not in a signal handler; one at a time.
bool find_python_api(bool among_opened);

// That an interpreter is known, still there, and initialized. Context: any thread.
bool python_is_up();

}  // namespace siprof::shim
