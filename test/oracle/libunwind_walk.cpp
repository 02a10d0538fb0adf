// SPDX-License-Identifier: Apache-2.0
// See libunwind_walk.h.
#include "test/oracle/libunwind_walk.h"

#include <algorithm>
#include <cstring>

#include "collector-client/unwind/guess_step.h"

namespace siprof::oracle {
namespace {

using client::CodeMapping;
using client::kRegisterCount;
using client::kRip;
using client::kRsp;
using client::Registers;
using client::StepResult;

constexpr std::size_t kAnswers = 1 << 14;
constexpr std::uint64_t kCheckedOneIn = 100;

// mov $__NR_rt_sigreturn, %rax; syscall: the kernel's way back from a handler, in its code and not in its
// tables. At either instruction.
bool in_trampoline(const CodeMapping& mapping, std::uint64_t address) {
  constexpr unsigned char kCode[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
  for (const std::uint64_t passed : {0u, 7u}) {
    const auto code = mapping.module->image->at(address - passed - mapping.bias);
    if (code.size() >= sizeof kCode && std::memcmp(code.data(), kCode, sizeof kCode) == 0) return true;
  }
  return false;
}

bool has_file(const CodeMapping* mapping) {
  return mapping != nullptr && mapping->module != nullptr && mapping->module->image != nullptr;
}

}  // namespace

bool LibunwindWalker::still_right(const Answer& answer, std::uint64_t lookup, const Registers& registers,
                                  const client::CapturedStack& stack) {
  if (answer.lookup != lookup || answer.result == StepResult::kFailed) return false;
  for (std::size_t number = 0; number < kRegisterCount; ++number) {
    const bool read = (answer.log.registers_read >> number & 1) != 0 && number != kRip;
    if (read && answer.before[number] != registers[number]) return false;
  }
  return std::ranges::all_of(answer.log.words, [&](const auto& word) {
    std::uint64_t value = 0;
    return read_word(stack, word.first, value) && value == word.second;
  });
}

StepResult LibunwindWalker::step(const ProcessView& view, std::uint64_t lookup, Registers* registers) {
  const CodeMapping* mapping = view.modules().find(lookup);
  const StackCopy* stack = view.stack_of((*registers)[kRsp]);
  if (!has_file(mapping) || stack == nullptr) return StepResult::kFailed;
  ++steps_;
  client::StepInput input{.image = mapping->module->image.get(),
                          .bias = mapping->bias,
                          .lookup_address = lookup,
                          .stack = &stack->captured};
  Answer& answer = answers_[(lookup * 31 + (*registers)[kRsp] / 8 * 0x9e3779b1) % kAnswers];
  if (still_right(answer, lookup, *registers, stack->captured)) {
    const Registers before = *registers;
    for (std::size_t number = 0; number < kRegisterCount; ++number)
      if ((answer.log.registers_kept >> number & 1) == 0) (*registers)[number] = answer.after[number];
    if (++steps_kept_ % kCheckedOneIn == 0) check(input, answer.result, before, *registers);
    return answer.result;
  }
  answer.lookup = lookup;
  answer.before = *registers;
  answer.log.registers_read = answer.log.registers_kept = 0;
  answer.log.words.clear();
  input.log = &answer.log;
  std::uint64_t beyond = 0;
  answer.result = step_with_libunwind(input, *registers, beyond);
  if (answer.result == StepResult::kBeyondStack) answer.result = StepResult::kFailed;
  answer.after = *registers;
  if (answer.result == StepResult::kOutermost) answer.log.registers_kept = ~0u;
  return answer.result;
}

void LibunwindWalker::check(const client::StepInput& input, StepResult kept, Registers before,
                            const Registers& after) {
  std::uint64_t beyond = 0;
  const StepResult now = step_with_libunwind(input, before, beyond);
  if (now != kept || before != after) ++kept_wrongly_;
}

void LibunwindWalker::walk(const ProcessView& view, const Registers& leaf, std::size_t most,
                           OracleWalk* walk) {
  if (answers_.empty() || generation_ != view.modules().generation()) answers_.assign(kAnswers, {});
  generation_ = view.modules().generation();
  walk->addresses.clear();
  walk->frames.clear();
  walk->end = OracleEnd::kTooDeep;
  Registers registers = leaf;
  bool exact = true;  // executed there, not returned to
  while (walk->addresses.size() < most) {
    const std::uint64_t lookup = registers[kRip] - (exact ? 0 : 1);
    const CodeMapping* mapping = view.modules().find(lookup);
    const bool trampoline = has_file(mapping) && in_trampoline(*mapping, registers[kRip]);
    walk->addresses.push_back(trampoline ? registers[kRip] : lookup);
    walk->frames.push_back(registers);
    const StepResult result = step(view, lookup, &registers);
    if (result == StepResult::kStepped && registers[kRip] != 0) {
      exact = trampoline;
      continue;
    }
    walk->end = result == StepResult::kFailed ? OracleEnd::kStopped : OracleEnd::kComplete;
    return;
  }
}

}  // namespace siprof::oracle
