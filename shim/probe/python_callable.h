// SPDX-License-Identifier: Apache-2.0
// A function of ours that the interpreter calls without counting the depth of its recursion: at the limit a
// built-in function can't be called, and what the interpreter does then would be seen.
#pragma once

#include <cstddef>

#include "shim/core/python_api.h"

namespace siprof::shim {

using PyCallback = PyObject*(PyObject* self, PyObject* const* arguments, std::size_t count_and_flag,
                             PyObject* names);

// Of the count that a callback is given.
constexpr std::size_t count_of(std::size_t count_and_flag) {
  return count_and_flag & ~(std::size_t{1} << 63);
}

// An object that is called so, a new reference. Null: it can't be made, without an error. Context: a thread
// with the interpreter's lock.
PyObject* make_callable(PyCallback* function);

}  // namespace siprof::shim
