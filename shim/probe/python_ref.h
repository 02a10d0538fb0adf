// SPDX-License-Identifier: Apache-2.0
// What is held of the interpreter while one of its functions runs. Context: a thread that has its lock.
#pragma once

#include "shim/core/python_api.h"

namespace siprof::shim {

// One reference, null: there was an error, which is dropped.
class PyRef {
 public:
  explicit PyRef(PyObject* owned) : object_(owned) {
    if (object_ == nullptr) g_python.err_clear();
  }
  ~PyRef() {
    if (object_ != nullptr) g_python.dec_ref(object_);
  }
  PyRef(const PyRef&) = delete;
  PyRef& operator=(const PyRef&) = delete;

  explicit operator bool() const { return object_ != nullptr; }
  PyObject* get() const { return object_; }
  // From now on it is the caller's.
  PyObject* release() {
    PyObject* object = object_;
    object_ = nullptr;
    return object;
  }

 private:
  PyObject* object_;
};

// The exception that is under way, put aside for its life: what is called meanwhile starts without one, and
// leaves none.
class PyKeptError {
 public:
  PyKeptError() { g_python.err_fetch(&type_, &value_, &traceback_); }
  ~PyKeptError() { g_python.err_restore(type_, value_, traceback_); }
  PyKeptError(const PyKeptError&) = delete;
  PyKeptError& operator=(const PyKeptError&) = delete;

 private:
  PyObject* type_ = nullptr;
  PyObject* value_ = nullptr;
  PyObject* traceback_ = nullptr;
};

inline PyObject* new_reference(PyObject* object) {
  g_python.inc_ref(object);
  return object;
}

}  // namespace siprof::shim
