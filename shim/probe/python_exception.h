// SPDX-License-Identifier: Apache-2.0
// What an exception of Python says of itself, without a line of the program's own code: nothing is asked that
// a class may answer in its own way. Context: a thread with the interpreter's lock, no error under way.
#pragma once

#include <cstdint>

#include "shim/core/python_api.h"
#include "shim/core/python_walk.h"
#include "shim/probe/error_message.h"

namespace siprof::shim {

struct PyExceptionText {
  char type[256];                       // module.qualname, of built-in ones the name alone; "": not known
  char message[kMostMessageBytes + 1];  // the first argument if it is a str
  bool has_message;
};

// Once for each interpreter, before the others. False: not this interpreter's.
bool learn_exceptions();
void forget_exceptions();  // the interpreter has ended

// `message` only where messages are on.
void describe_exception(PyObject* exception, PyExceptionText* text);

// The frames of a traceback that nearest to where it was raised come first.
class PyTracebackFrames {
 public:
  explicit PyTracebackFrames(PyObject* traceback);

  // Good for the life of both this and the traceback; of a traceback that isn't one it is empty.
  PythonTrace trace() const { return {frames_, count_, is_cut_}; }

 private:
  PythonFrame frames_[kMaxPythonFrames];
  std::uint32_t count_ = 0;
  bool is_cut_ = false;
};

}  // namespace siprof::shim
