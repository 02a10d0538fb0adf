// SPDX-License-Identifier: Apache-2.0
// How a finished window asks what an address is called. Implemented on the
// symbolizer; a table of answers in tests.
#pragma once

#include <sys/types.h>

#include <vector>

#include "collector-client/base/module.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  // Innermost inlined call first; empty: no name is known. `pid` matters only
  // where the address has no module (code made at run time).
  virtual std::vector<SourceFrame> frames(const CodeAddress& address, pid_t pid) = 0;
  // False: frames() gave a name in place of the function's, such as the file's.
  virtual bool has_name(const CodeAddress&, pid_t) { return true; }
};

}  // namespace siprof::client
