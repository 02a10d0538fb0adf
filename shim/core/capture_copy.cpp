// SPDX-License-Identifier: Apache-2.0
// Capture by copy: all registers and up to kMaxStackBytes of the stack; the agent
// unwinds. Plain loads within the thread's known stack; elsewhere (fibers, alternate
// stacks) the kernel reads for us, which fails where a load would fault.
#include <signal.h>
#include <sys/uio.h>

#include "shim/base/arch.h"
#include "shim/base/text.h"
#include "shim/core/capture.h"
#include "shim/core/own_stack.h"
#include "shim/core/process.h"
#include "shim/core/ring_writer.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

struct StackSource {
  std::uint64_t start;
  std::uint32_t bytes;
  bool own;  // the thread's: can be loaded from
  bool cut;  // there is more
};

SIPROF_SIGNAL_SAFE StackSource find_stack(ThreadState& thread, const ucontext_t* context) {
  StackSource source{};
  const std::uint64_t sp = stack_pointer_of(context) & ~std::uint64_t{7};
  source.start = red_zone_start(sp);
  std::uint64_t end = 0;
  if (is_on_own_stack(thread, sp)) {
    source.own = true;
    end = thread.stack_high;
  } else {
    const auto alternate = reinterpret_cast<std::uint64_t>(context->uc_stack.ss_sp);
    const bool on_alternate = (context->uc_stack.ss_flags & SS_DISABLE) == 0 && sp >= alternate &&
                              sp - alternate < context->uc_stack.ss_size;
    end = on_alternate ? alternate + context->uc_stack.ss_size : source.start + kMaxStackBytes;
  }
  const std::uint64_t used = end - source.start;
  source.cut = used > kMaxStackBytes;
  source.bytes = static_cast<std::uint32_t>(source.cut ? kMaxStackBytes : used) & ~7u;
  return source;
}

// Copies `bytes` from `offset` of the stack; returns how many could be read.
SIPROF_SIGNAL_SAFE std::uint32_t read_stack(const StackSource& source, std::uint32_t offset, void* to,
                                            std::uint32_t bytes) {
  if (source.own) {
    copy_bytes(to, reinterpret_cast<const void*>(source.start + offset), bytes);
    return bytes;
  }
  if (!may_call()) return 0;
  iovec local{to, bytes};
  iovec remote{reinterpret_cast<void*>(source.start + offset), bytes};
  const long pid = sys::call(SYS_getpid);
  long got = sys::call(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0);
  if (got < 0) {
    // All or nothing within one page range: try up to the page's end.
    const std::uint64_t to_page_end = 4096 - ((source.start + offset) & 4095);
    if (to_page_end >= bytes) return 0;
    local.iov_len = remote.iov_len = to_page_end;
    got = sys::call(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0);
  }
  return got > 0 ? static_cast<std::uint32_t>(got) & ~7u : 0;
}

}  // namespace

bool capture_copy(SharedHeader* header, std::uint64_t session, ThreadState& thread, const Event& event,
                  const ucontext_t* context, const PythonSample& python) {
  const StackSource source = find_stack(thread, context);
  RingWriter writer(header, session, thread, share_of(event.kind));
  // At least the registers and the innermost frames, or the sample is worth little.
  constexpr std::uint32_t kLeastStackBytes = 512;
  const std::uint32_t least_stack = source.bytes < kLeastStackBytes ? source.bytes : kLeastStackBytes;
  const auto words_at = static_cast<std::uint32_t>(sizeof(SampleRecord)) + padded(event.extra_bytes);
  const std::uint32_t head_bytes = words_at + 8 * python.size();
  std::uint32_t bytes = 0;
  auto* record = reinterpret_cast<SampleRecord*>(
      writer.claim(head_bytes + padded(least_stack), head_bytes + padded(source.bytes), &bytes));
  if (record == nullptr) {
    count_pool_full(event);
    return false;
  }
  SampleFields& sample = record->sample;
  fill_head(&sample.head, thread, event, unmap_generation(),
            (source.cut ? kStackCut : 0u) | (source.own ? 0u : kStackForeign) | python.flags());
  const std::uint32_t serial = ++thread.next_sample;
  sample.serial = serial;
  sample.stack_start = source.start;
  sample.stack_bytes = source.bytes;
  copy_registers(context, sample.registers);
  copy_bytes(record + 1, event.extra, event.extra_bytes);
  sample.python_words = python.size();
  copy_bytes(reinterpret_cast<char*>(record) + words_at, python.words(), 8 * python.size());
  const std::uint32_t space = bytes - head_bytes;
  const std::uint32_t wanted = space < source.bytes ? space : source.bytes;
  std::uint32_t done = read_stack(source, 0, reinterpret_cast<char*>(record) + head_bytes, wanted);
  sample.inline_stack_bytes = done;
  bool readable = done == wanted;
  // From here on the record may be read, and its chunk be another thread's.
  RingWriter::commit(&record->header, RecordKind::kSample, bytes);

  while (readable && done < source.bytes) {
    const std::uint32_t left = source.bytes - done;
    constexpr auto kHead = static_cast<std::uint32_t>(sizeof(StackPieceRecord));
    constexpr std::uint32_t kMost = kChunkPayloadBytes - kHead;
    auto* piece = reinterpret_cast<StackPieceRecord*>(
        writer.claim(kHead + 8, kHead + (left < kMost ? left : kMost), &bytes));
    if (piece == nullptr) {
      count(Counter::stack_cut_pool);
      break;
    }
    const std::uint32_t part = bytes - kHead < left ? bytes - kHead : left;
    piece->serial = serial;
    piece->offset = done;
    piece->stack_bytes = read_stack(source, done, piece + 1, part);
    readable = piece->stack_bytes == part;
    done += piece->stack_bytes;
    RingWriter::commit(&piece->header, RecordKind::kStackPiece, bytes);
  }
  if (done == 0) count(Counter::stack_unreadable);
  if (source.cut) count(Counter::stack_cut);
  count_written(event);
  return true;
}

}  // namespace siprof::shim
