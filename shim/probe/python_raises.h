// SPDX-License-Identifier: Apache-2.0
// Every exception that Python code meets, where it is raised: by the event RAISE of sys.monitoring,
// which 3.12 and later have. The tool's number is given back to a program that asks for it, and another one
// taken. Context: a thread with the interpreter's lock.
#pragma once

#include "shim/core/python_api.h"

namespace siprof::shim {

// What can't be set up isn't: the version has no such events, or the program has all numbers.
void watch_raises();
// Whether exceptions are told of where they are raised.
bool raises_are_watched();
// Whether the one that this object is has been told of lately; if not, it was counted and has no stack.
bool is_told(PyObject* exception);
void forget_raises();  // the interpreter has ended

}  // namespace siprof::shim
