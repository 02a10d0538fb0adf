// SPDX-License-Identifier: Apache-2.0
// See unwinder.h.
#include "collector-client/unwind/unwinder.h"

#include "collector-client/unwind/guess_step.h"
#include "collector-client/unwind/libunwind_step.h"

namespace siprof::client {
namespace {

constexpr std::array<Register, kSavedRegisters> kSaved = {kRbx, kRbp, kR12, kR13, kR14, kR15};
// Memory this far above the copy may be the same stack; what is farther away is a wild pointer.
constexpr std::uint64_t kMaxStackBytes = 1ull << 30;

class Walk {
 public:
  Walk(const CapturedStack& captured, const ModuleMap& map, FrameRulesCache& rules, UnwoundStack& result)
      : captured_(captured), map_(map), rules_(rules), result_(result), registers_(captured.registers) {}

  void run() {
    bool more = true;
    while (more && result_.frames.size() < kMaxDepth) more = take_frame();
    if (more) result_.end = StackEnd::kTooDeep;
  }

 private:
  bool leaf() const { return result_.frames.size() == 1; }
  bool ended(StackEnd how) {
    result_.end = how;
    return false;
  }
  StackEnd missing(std::uint64_t address) const {
    const std::uint64_t end = captured_.stack_start + captured_.bytes.size();
    // A word that straddles the copy's end begins inside.
    const bool above =
        address + sizeof(std::uint64_t) > end && address - captured_.stack_start < kMaxStackBytes;
    return above || on_other_stack_ ? StackEnd::kTruncated : StackEnd::kBroken;
  }

  bool take_frame() {
    const std::uint64_t lookup = registers_[kRip] - (exact_ ? 0 : 1);
    const CodeMapping* mapping = map_.find(lookup);
    if (mapping == nullptr && !result_.frames.empty()) {
      result_.unknown = lookup;
      return ended(StackEnd::kBroken);
    }
    CodeAddress address{nullptr, lookup};
    if (mapping != nullptr) address = {mapping->module, lookup - mapping->bias};
    const FrameRule rule = rules_.find(address);
    // The kernel enters a trampoline's first byte as if by a return, and its table begins one byte before.
    if (rule.signal_frame && !exact_) ++address.address;
    result_.frames.push_back(address);
    const Registers before = registers_;
    if (!step(rule, mapping, lookup)) return false;
    if (registers_[kRip] == 0) return ended(StackEnd::kThreadStart);
    const bool signal = rule.signal_frame || guessed_signal_;
    on_other_stack_ |= signal;
    exact_ = signal;
    return signal || progressed(before) || ended(StackEnd::kBroken);
  }

  // A caller's frame is above its callee's. Only a leaf that has popped its return address into a
  // register (vfork) leaves the stack pointer where it is.
  bool progressed(const Registers& before) const {
    if (registers_[kRsp] > before[kRsp]) return true;
    return leaf() && registers_[kRsp] == before[kRsp] && registers_[kRip] != before[kRip];
  }

  bool step(const FrameRule& rule, const CodeMapping* mapping, std::uint64_t lookup) {
    guessed_signal_ = false;
    switch (rule.kind) {
      case FrameRule::Kind::kPlain:
        return step_plain(rule);
      case FrameRule::Kind::kExpression:
        return step_expression(mapping, lookup);
      case FrameRule::Kind::kOutermost:
        return ended(StackEnd::kThreadStart);
      case FrameRule::Kind::kNone:
        break;
    }
    return step_guess();
  }

  bool step_plain(const FrameRule& rule) {
    const std::uint64_t cfa = registers_[rule.cfa_register] + static_cast<std::int64_t>(rule.cfa_offset);
    Registers caller = registers_;
    std::uint64_t address = cfa + static_cast<std::int64_t>(rule.return_offset);
    if (!read_word(captured_, address, caller[kRip])) return ended(missing(address));
    for (std::size_t i = 0; i < kSavedRegisters; ++i) {
      if (rule.saved[i] == kUnchanged) continue;
      address = cfa + static_cast<std::int64_t>(rule.saved[i]);
      if (!read_word(captured_, address, caller[kSaved[i]])) return ended(missing(address));
    }
    caller[kRsp] = cfa;
    registers_ = caller;
    return true;
  }

  bool step_expression(const CodeMapping* mapping, std::uint64_t lookup) {
    const StepInput input{.image = mapping->module->image.get(),
                          .bias = mapping->bias,
                          .lookup_address = lookup,
                          .stack = &captured_};
    std::uint64_t beyond = 0;
    switch (step_with_libunwind(input, registers_, beyond)) {
      case StepResult::kStepped:
        return true;
      case StepResult::kOutermost:
        return ended(StackEnd::kThreadStart);
      case StepResult::kBeyondStack:
        return ended(missing(beyond));
      case StepResult::kFailed:
        break;
    }
    return ended(StackEnd::kBroken);
  }

  bool step_guess() {
    switch (guess_caller(captured_, map_, leaf() && exact_, registers_)) {
      case Guess::kSignalFrame:
        guessed_signal_ = true;
        return true;
      case Guess::kCaller:
        ++result_.guessed_frames;
        return true;
      case Guess::kThreadStart:
        return ended(StackEnd::kThreadStart);
      case Guess::kBeyondStack:
        return ended(StackEnd::kTruncated);
      case Guess::kNone:
        break;
    }
    return ended(StackEnd::kNoTable);
  }

  const CapturedStack& captured_;
  const ModuleMap& map_;
  FrameRulesCache& rules_;
  UnwoundStack& result_;
  Registers registers_;
  bool exact_ = true;  // rip is where execution goes on, not where a call returns to
  bool guessed_signal_ = false;
  bool on_other_stack_ = false;  // below a signal handler, which may have had its own stack
};

}  // namespace

void Unwinder::unwind(const CapturedStack& captured, const ModuleMap& map, UnwoundStack& stack) {
  stack.frames.clear();
  stack.guessed_frames = 0;
  stack.unknown = 0;
  stack.end = StackEnd::kBroken;
  Walk(captured, map, rules_, stack).run();
}

}  // namespace siprof::client
