// SPDX-License-Identifier: Apache-2.0
// Capture by walk: a record of some hundred bytes instead of a copy of the stack.
#include <signal.h>

#include "shim/base/arch.h"
#include "shim/base/text.h"
#include "shim/core/capture.h"
#include "shim/core/own_stack.h"
#include "shim/core/process.h"
#include "shim/core/ring_writer.h"
#include "shim/core/tables.h"

namespace siprof::shim {
namespace {

// On the handler's stack; deeper ones are walked again, into the ring.
constexpr std::uint32_t kUsualFrames = 64;

SIPROF_SIGNAL_SAFE Counter reason_of(WalkEnd end) {
  switch (end) {
    case WalkEnd::kOther:
      return Counter::copied_other_rule;
    case WalkEnd::kBounds:
      return Counter::copied_bounds;
    case WalkEnd::kUnknown:
      return Counter::copied_unknown_code;
    case WalkEnd::kComplete:
    case WalkEnd::kTooDeep:
      break;  // the tables changed meanwhile
  }
  return Counter::copied_no_tables;
}

SIPROF_SIGNAL_SAFE FramesRecord* claim_frames(RingWriter* writer, std::uint32_t frames,
                                              std::uint32_t* bytes) {
  const auto wanted = static_cast<std::uint32_t>(sizeof(FramesRecord) + 8 * frames);
  return reinterpret_cast<FramesRecord*>(writer->claim(wanted, wanted, bytes));
}

SIPROF_SIGNAL_SAFE void fill(FramesRecord* record, const ThreadState& thread, const Tick& tick,
                             const Tables& tables, const WalkResult& result) {
  record->sample.time_ns = tick.time_ns;
  record->sample.period_ns = tick.period_ns;
  record->sample.unmap_generation = tables.unmap_generation;
  record->sample.weight = tick.weight;
  record->sample.tid = static_cast<std::uint32_t>(thread.tid);
  record->sample.frames = result.frames;
  record->sample.flags = result.end == WalkEnd::kTooDeep ? kTooManyFrames : 0u;
}

SIPROF_SIGNAL_SAFE void count_walked(const WalkResult& result, const Tick& tick) {
  count(Counter::stack_walked);
  if (result.fp_frames != 0) count(Counter::stack_by_fp);
  count(Counter::samples);
  count(Counter::ticks, tick.weight);
}

struct Walked {
  const Tables& tables;
  WalkRegisters registers;
  StackBounds bounds;
};

// Into the ring's own memory, when the handler's stack can't hold it. False: not to be used.
SIPROF_SIGNAL_SAFE bool walk_deep(RingWriter* writer, const Walked& walked, ThreadState& thread,
                                  const Tick& tick) {
  std::uint32_t bytes = 0;
  FramesRecord* record = claim_frames(writer, kMaxFrames, &bytes);
  if (record == nullptr) {
    count(Counter::lost_pool_full, tick.weight);
    return true;
  }
  auto* addresses = reinterpret_cast<std::uint64_t*>(record + 1);
  const WalkResult result =
      walk_stack(walked.tables.view, walked.registers, walked.bounds, walked.bounds, addresses, kMaxFrames);
  const bool whole =
      (result.end == WalkEnd::kComplete || result.end == WalkEnd::kTooDeep) && tables_hold(walked.tables);
  fill(record, thread, tick, walked.tables, result);
  if (!whole) record->sample.weight = 0;  // the agent skips it
  RingWriter::commit(&record->header, RecordKind::kFrames, bytes);
  if (!whole) {
    count(reason_of(result.end));
    return false;
  }
  count_walked(result, tick);
  return true;
}

SIPROF_SIGNAL_SAFE bool walk_usual(RingWriter* writer, const Walked& walked, ThreadState& thread,
                                   const Tick& tick) {
  std::uint64_t addresses[kUsualFrames];
  const WalkResult result =
      walk_stack(walked.tables.view, walked.registers, walked.bounds, walked.bounds, addresses, kUsualFrames);
  if (result.end == WalkEnd::kTooDeep) return walk_deep(writer, walked, thread, tick);
  if (result.end != WalkEnd::kComplete || !tables_hold(walked.tables)) {
    count(reason_of(result.end));
    return false;
  }
  std::uint32_t bytes = 0;
  FramesRecord* record = claim_frames(writer, result.frames, &bytes);
  if (record == nullptr) {
    count(Counter::lost_pool_full, tick.weight);
    return true;
  }
  fill(record, thread, tick, walked.tables, result);
  copy_bytes(record + 1, addresses, 8 * result.frames);
  RingWriter::commit(&record->header, RecordKind::kFrames, bytes);
  count_walked(result, tick);
  return true;
}

}  // namespace

void capture(SharedHeader* header, std::uint64_t session, ThreadState& thread, const Tick& tick,
             const ucontext_t* context) {
  map_tables_if_due(header);
  const WalkRegisters registers{instruction_pointer_of(context), stack_pointer_of(context),
                                frame_pointer_of(context), context};
  Tables tables{};
  if (!is_on_own_stack(thread, registers.sp)) {
    count(Counter::copied_foreign);
  } else if (!read_tables(header, &tables)) {
    count(Counter::copied_no_tables);
  } else {
    const Walked walked{tables, registers, {red_zone_start(registers.sp), thread.stack_high}};
    RingWriter writer(header, session, thread);
    if (walk_usual(&writer, walked, thread, tick)) {
      ++thread.next_sample;
      return;
    }
  }
  capture_copy(header, session, thread, tick, context);
}

}  // namespace siprof::shim
