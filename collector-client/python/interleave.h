// SPDX-License-Identifier: Apache-2.0
// One stack out of two: native frames, and the Python frames that the evaluation function among them was
// running. Each of its frames becomes the Python frames of one segment.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collector-client/base/module.h"
#include "collector-client/python/python_module.h"

namespace siprof::client {

struct PythonFrame {
  CodeAddress code;
  bool ends_segment = false;  // the outermost of one call of the evaluation function
};

// Both leaf first.
struct MixedStack {
  std::span<const CodeAddress> native;
  bool native_is_whole = false;  // down to the thread's start
  std::span<const PythonFrame> python;
  bool python_is_whole = false;
};

// How well both fitted.
enum class Alignment {
  kAligned,     // a segment for each call
  kEntering,    // one call more: it is on its way in or out, and has no frame
  kPartial,     // one of both is cut, so nothing can be said
  kMismatched,  // anything else: the Python frames stand together where the first call is
};

// `module` and `python`: the interpreter. `out` is overwritten. The evaluation function's own frames aren't
// in it where they had a segment.
Alignment interleave(const MixedStack& stack, const Module* module, const PythonModule& python,
                     std::vector<CodeAddress>* out);

}  // namespace siprof::client
