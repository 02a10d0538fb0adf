// SPDX-License-Identifier: Apache-2.0
// Capture by walk: a record of some hundred bytes instead of a copy of the stack.
#include <signal.h>

#include <atomic>

#include "shim/base/arch.h"
#include "shim/base/text.h"
#include "shim/core/capture.h"
#include "shim/core/own_stack.h"
#include "shim/core/process.h"
#include "shim/core/ring_writer.h"
#include "shim/core/tables.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

// By kind; relaxed sums: which sample tells of them doesn't matter.
constinit std::atomic<std::uint32_t> g_lost[kEventKinds]{};

// Of samples that were to be written since the last one that was.
SIPROF_SIGNAL_SAFE std::uint32_t take_lost(EventKind kind) {
  std::atomic<std::uint32_t>& lost = g_lost[static_cast<std::uint32_t>(kind)];
  if (SIPROF_LIKELY(lost.load(std::memory_order_relaxed) == 0)) return 0;
  const std::uint32_t count = lost.exchange(0, std::memory_order_relaxed);
  return count < kMostLost ? count : kMostLost;
}

// Room that a chunk must have for a walk to begin there; one that is deeper begins again in an empty chunk.
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

SIPROF_SIGNAL_SAFE std::uint32_t bytes_for(const Event& event, std::uint32_t frames) {
  return static_cast<std::uint32_t>(sizeof(FramesRecord)) + padded(event.extra_bytes) + 8 * frames;
}

// Where the addresses of the record belong.
SIPROF_SIGNAL_SAFE std::uint64_t* frames_of(FramesRecord* record, const Event& event) {
  return reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(record + 1) + padded(event.extra_bytes));
}

struct Walked {
  const Tables& tables;
  WalkRegisters registers;
  const PythonSample& python;
};

// All but the addresses, which may be there already.
SIPROF_SIGNAL_SAFE void fill(FramesRecord* record, const ThreadState& thread, const Event& event,
                             const Walked& walked, const WalkResult& result, std::uint32_t flags) {
  const PythonSample& python = walked.python;
  flags |= python.flags();
  if (result.end == WalkEnd::kTooDeep) flags |= kTooManyFrames;
  fill_head(&record->sample.head, thread, event, walked.tables.unmap_generation, flags);
  copy_bytes(record + 1, event.extra, event.extra_bytes);
  record->sample.frames = result.frames;
  record->sample.python_words = python.size();
  copy_bytes(frames_of(record, event) + result.frames, python.words(), 8 * python.size());
}

SIPROF_SIGNAL_SAFE void count_walked(const WalkResult& result, const Event& event) {
  count(Counter::stack_walked);
  if (result.fp_frames != 0) count(Counter::stack_by_fp);
  count_written(event);
}

enum class Outcome { kWritten, kLost, kNotWalked, kTooDeep };

// Empties what a walk has written, so that it can be given back.
SIPROF_SIGNAL_SAFE void withdraw(RingWriter* writer, FramesRecord* record, std::uint32_t bytes,
                                 std::uint64_t* addresses, const WalkResult& result) {
  for (std::uint32_t i = 0; i < result.frames; ++i) addresses[i] = 0;
  if (writer->shrink(&record->header, bytes, 0) == 0) return;
  record->sample.head.flags = kGivenUp;
  RingWriter::commit(&record->header, RecordKind::kFrames, bytes);
}

// Straight into the ring: the handler's stack may be small. `least` native frames have room at least;
// Python's are there already.
SIPROF_SIGNAL_SAFE Outcome walk_into(RingWriter* writer, const Walked& walked, ThreadState& thread,
                                     const Event& event, std::uint32_t least) {
  const std::uint32_t python = walked.python.size();
  const std::uint32_t most = kMaxFrames - python;
  std::uint32_t bytes = 0;
  auto* record = reinterpret_cast<FramesRecord*>(
      writer->claim(bytes_for(event, least + python), bytes_for(event, kMaxFrames), &bytes));
  if (record == nullptr) {
    count_pool_full(event);
    return Outcome::kLost;
  }
  std::uint64_t* addresses = frames_of(record, event);
  const std::uint32_t room = (bytes - bytes_for(event, python)) / 8;
  const StackBounds bounds{red_zone_start(walked.registers.sp), thread.stack_high};
  const WalkResult result = walk_stack(walked.tables.view, walked.registers, bounds, bounds, addresses, room);
  const bool cut = result.end == WalkEnd::kTooDeep;
  const bool holds = tables_hold(walked.tables);
  if ((result.end != WalkEnd::kComplete && !cut) || !holds || (cut && room < most)) {
    if (!cut || !holds) count(reason_of(result.end));
    withdraw(writer, record, bytes, addresses, result);
    return cut && holds ? Outcome::kTooDeep : Outcome::kNotWalked;
  }
  bytes = writer->shrink(&record->header, bytes, bytes_for(event, result.frames + python));
  fill(record, thread, event, walked, result, 0);
  RingWriter::commit(&record->header, RecordKind::kFrames, bytes);
  count_walked(result, event);
  return Outcome::kWritten;
}

// Of a trace: its Python frames alone. Not inlined: a handler, which never has one, needs no room for it.
SIPROF_SIGNAL_SAFE __attribute__((noinline)) bool write_trace(SharedHeader* header, std::uint64_t session,
                                                              ThreadState& thread, const Event& event,
                                                              const PythonSample& python) {
  RingWriter writer(header, session, thread, share_of(event.kind));
  const std::uint32_t wanted = bytes_for(event, python.size());
  std::uint32_t bytes = 0;
  auto* record = reinterpret_cast<FramesRecord*>(writer.claim(wanted, wanted, &bytes));
  if (record == nullptr) {
    count_pool_full(event);
    return false;
  }
  fill_head(&record->sample.head, thread, event, unmap_generation(), kTraceAlone | python.flags());
  copy_bytes(record + 1, event.extra, event.extra_bytes);
  record->sample.frames = 0;
  record->sample.python_words = python.size();
  copy_bytes(frames_of(record, event), python.words(), 8 * python.size());
  RingWriter::commit(&record->header, RecordKind::kFrames, bytes);
  count(Counter::stack_walked);
  count_written(event);
  return true;
}

}  // namespace

void fill_head(EventHead* head, const ThreadState& thread, const Event& event, std::uint32_t unmap_generation,
               std::uint32_t flags) {
  head->time_ns = event.time_ns;
  head->unmap_generation = unmap_generation;
  head->tid = static_cast<std::uint32_t>(thread.tid);
  head->event = event.kind;
  head->extra_bytes = static_cast<std::uint16_t>(event.extra_bytes);
  head->flags = flags | ((flags & kGivenUp) == 0 ? take_lost(event.kind) << kLostShift : 0);
  for (std::uint32_t i = 0; i < kEventValues; ++i) head->values[i] = event.values[i];
}

void count_written(const Event& event) {
  if (event.kind == EventKind::kCpu) {
    count(Counter::samples);
    count(Counter::ticks, event.values[kCpuTicks]);
  } else {
    count(Counter::events);
  }
}

void count_pool_full(const Event& event) {
  if (event.kind == EventKind::kCpu) {
    count(Counter::lost_pool_full, event.values[kCpuTicks]);
    return;
  }
  count(Counter::lost_events_pool_full);
  if (event.kind != EventKind::kError)
    g_lost[static_cast<std::uint32_t>(event.kind)].fetch_add(1, std::memory_order_relaxed);
}

void forget_lost() {
  for (std::atomic<std::uint32_t>& lost : g_lost) lost.store(0, std::memory_order_relaxed);
}

bool capture(SharedHeader* header, std::uint64_t session, ThreadState& thread, const Event& event,
             const ucontext_t* context) {
  map_tables_if_due(header);
  const PythonSample python(header, session, thread, event,
                            event.kind == EventKind::kCpu ? context : nullptr);
  if (SIPROF_UNLIKELY(event.trace != nullptr && python.size() != 0))
    return write_trace(header, session, thread, event, python);
  Tables tables{};
  // In one place: this frame is below all others of a tick, and threads may have small stacks.
  const Walked walked{
      tables,
      {instruction_pointer_of(context), stack_pointer_of(context), frame_pointer_of(context), context},
      python};
  if (!is_on_own_stack(thread, walked.registers.sp)) {
    count(Counter::copied_foreign);
  } else if (!read_tables(header, &tables)) {
    count(Counter::copied_no_tables);
  } else {
    RingWriter writer(header, session, thread, share_of(event.kind));
    Outcome outcome = walk_into(&writer, walked, thread, event, kUsualFrames);
    if (outcome == Outcome::kTooDeep)
      outcome = walk_into(&writer, walked, thread, event, kMaxFrames - python.size());
    if (outcome != Outcome::kNotWalked) {
      ++thread.next_sample;
      return outcome == Outcome::kWritten;
    }
  }
  return capture_copy(header, session, thread, event, context, python);
}

}  // namespace siprof::shim
