// SPDX-License-Identifier: Apache-2.0
// A built-in function in the place of one of the interpreter's: same name, module, text, signature and way to
// be called, so that what is wrong with a call is said as ever. It goes on to the C function that it stands
// for. Nothing of the interpreter is held.
#pragma once

#include <cstddef>

#include "shim/core/python_api.h"

namespace siprof::shim {

// Zero is a valid state. Context: a thread with the interpreter's lock.
class PyStandIn {
 public:
  using One = PyObject*(PyObject* self, PyObject* argument);
  using Fast = PyObject*(PyObject* self, PyObject* const* arguments, std::ptrdiff_t count);
  struct Place {
    PyObject* holder;  // null: there is none
    const char* name;
  };

  // In the places that hold what the first one does. Left alone if that isn't called in this way.
  void put(const Place* places, std::uint32_t count, One* function) {
    put(places, count, kMethodOne, reinterpret_cast<void*>(function));
  }
  void put_without_argument(const Place* places, std::uint32_t count, One* function) {
    put(places, count, kMethodNoArgs, reinterpret_cast<void*>(function));
  }
  void put(const Place* places, std::uint32_t count, Fast* function) {
    put(places, count, kMethodFast, reinterpret_cast<void*>(function));
  }

  PyObject* pass_on(PyObject* self, PyObject* argument) const {
    return reinterpret_cast<One*>(next_)(self, argument);
  }
  PyObject* pass_on(PyObject* self, PyObject* const* arguments, std::ptrdiff_t count) const {
    return reinterpret_cast<Fast*>(next_)(self, arguments, count);
  }

 private:
  void put(const Place* places, std::uint32_t count, int flags, void* function);
  bool describe(PyObject* original);

  void* next_ = nullptr;
  PyMethodDef definition_{};
  char name_[64]{};
  char doc_[1024]{};
};

}  // namespace siprof::shim
