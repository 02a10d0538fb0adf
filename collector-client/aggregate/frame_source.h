// SPDX-License-Identifier: Apache-2.0
// How a finished window asks what an address is called. Implemented on the
// symbolizer; a table of answers in tests.
#pragma once

#include <cstdint>
#include <vector>

#include "collector-client/base/module.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  // Innermost inlined call first; empty: no name is known. `process` (WindowSample's)
  // matters only where the address has no module (code made at run time).
  virtual std::vector<SourceFrame> frames(const CodeAddress& address, std::uint64_t process) = 0;
};

}  // namespace siprof::client
