// SPDX-License-Identifier: Apache-2.0
// The number that a tool of sys.monitoring has, and the program's view of it: free. A program that calls
// anything for that number has it, and another one is taken. Context: a thread with the interpreter's lock.
#pragma once

#include "shim/core/python_api.h"

namespace siprof::shim {

// Has `callback` called for the one `event` (RAISE, whose name the view leaves out). Both live as long as the
// interpreter. Nothing is taken if the program has all numbers.
void take_tool(PyObject* monitoring, PyObject* event, PyObject* callback);
bool has_tool();
void forget_tool();  // the interpreter has ended

}  // namespace siprof::shim
