// SPDX-License-Identifier: Apache-2.0
// See interleave.h.
#include "collector-client/python/interleave.h"

#include <algorithm>
#include <cstddef>

namespace siprof::client {
namespace {

class Interleaver {
 public:
  Interleaver(const MixedStack& stack, const Module* module, const PythonModule& python,
              std::vector<CodeAddress>* out)
      : stack_(stack), module_(module), python_(python), out_(*out) {
    for (const CodeAddress& code : stack_.native) calls_ += is_call(code);
    for (std::size_t i = 0; i < stack_.python.size(); ++i)
      segments_ += stack_.python[i].ends_segment || i + 1 == stack_.python.size();
  }

  Alignment run() {
    out_.clear();
    const Alignment alignment = compare();
    if (alignment == Alignment::kMismatched || calls_ == 0) {
      put_together();
    } else {
      put_in_turn(calls_without_frames());
    }
    return alignment;
  }

 private:
  bool is_call(const CodeAddress& code) const {
    return code.module == module_ && contains(python_.evaluation, code.address);
  }

  Alignment compare() const {
    if (!stack_.python_is_whole || (!stack_.native_is_whole && calls_ <= segments_))
      return Alignment::kPartial;
    if (calls_ == segments_) return Alignment::kAligned;
    return calls_ == segments_ + 1 ? Alignment::kEntering : Alignment::kMismatched;
  }

  // Frames are made and go at the leaf: that is where calls are that have none.
  std::size_t calls_without_frames() const {
    return stack_.python_is_whole && calls_ > segments_ ? calls_ - segments_ : 0;
  }

  void put_segment() {
    while (next_ < stack_.python.size()) {
      const PythonFrame& frame = stack_.python[next_++];
      out_.push_back(frame.code);
      if (frame.ends_segment) return;
    }
  }

  void put_in_turn(std::size_t without_frames) {
    for (const CodeAddress& code : stack_.native) {
      if (!is_call(code)) {
        out_.push_back(code);
      } else if (without_frames != 0) {
        --without_frames;
        out_.push_back(code);
      } else if (next_ < stack_.python.size()) {
        put_segment();
      } else {
        out_.push_back(code);
      }
    }
    // Of calls that the native stack doesn't reach down to.
    while (next_ < stack_.python.size()) put_segment();
  }

  // In the place of all calls, or, where none is to be seen, of the interpreter's first frame.
  void put_together() {
    const bool has_calls = calls_ != 0;
    for (const CodeAddress& code : stack_.native) {
      const bool is_here = has_calls ? is_call(code) : code.module == module_;
      if (is_here)
        while (next_ < stack_.python.size()) put_segment();
      if (!has_calls || !is_here) out_.push_back(code);
    }
    while (next_ < stack_.python.size()) put_segment();
  }

  const MixedStack& stack_;
  const Module* module_;
  const PythonModule& python_;
  std::vector<CodeAddress>& out_;
  std::size_t calls_ = 0;
  std::size_t segments_ = 0;
  std::size_t next_ = 0;  // Python frame
};

}  // namespace

Alignment interleave(const MixedStack& stack, const Module* module, const PythonModule& python,
                     std::vector<CodeAddress>* out) {
  return Interleaver(stack, module, python, out).run();
}

}  // namespace siprof::client
