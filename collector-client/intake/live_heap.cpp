// SPDX-License-Identifier: Apache-2.0
#include "collector-client/intake/live_heap.h"

#include "absl/hash/hash.h"
#include "absl/types/span.h"

namespace siprof::client {
namespace {

constexpr std::size_t kSpareStacks = 1024;

}  // namespace

LiveHeap::KeptStack::KeptStack(ModuleCache& modules, PythonFunctions& functions,
                               std::span<const CodeAddress> frames)
    : modules_(modules), functions_(functions), frames_(frames.begin(), frames.end()) {
  for (const CodeAddress& frame : frames_) {
    if (frame.is_python())
      functions_.retain(PythonFunctions::function_of(frame));
    else if (frame.module != nullptr)
      modules_.retain(frame.module);
  }
}

LiveHeap::KeptStack::~KeptStack() {
  for (const CodeAddress& frame : frames_) {
    if (frame.is_python())
      functions_.release(PythonFunctions::function_of(frame));
    else if (frame.module != nullptr)
      modules_.release(frame.module);
  }
}

std::size_t LiveHeap::Hash::operator()(std::span<const CodeAddress> frames) const {
  return absl::HashOf(absl::Span<const CodeAddress>(frames.data(), frames.size()));
}

void LiveHeap::drop_unused_stacks() {
  absl::erase_if(stacks_, [](const auto& stack) { return stack.use_count() == 1; });
}

std::shared_ptr<const LiveHeap::KeptStack> LiveHeap::kept(std::span<const CodeAddress> frames) {
  const auto found = stacks_.find(frames);
  if (found != stacks_.end()) return *found;
  // A process that gives one number to ever new allocations leaves only stacks behind.
  if (stacks_.size() > 2 * blocks_.size() + kSpareStacks) drop_unused_stacks();
  return *stacks_.insert(std::make_shared<const KeptStack>(modules_, functions_, frames)).first;
}

void LiveHeap::enter(std::uint64_t id, const SampleView& sample) {
  blocks_.insert_or_assign(
      id, Block{kept(sample.stack), sample.process, sample.pid, sample.thread_id,
                std::string(sample.thread_name), sample.values[0], sample.values[1], sample.gil});
}

void LiveHeap::keep(std::span<const std::uint64_t> ids) {
  const absl::flat_hash_set<std::uint64_t> live(ids.begin(), ids.end());
  if (!blocks_.empty()) {
    last_ = blocks_.begin()->second;
    last_->objects = last_->bytes = 0;
  }
  absl::erase_if(blocks_, [&live](const auto& entry) { return !live.contains(entry.first); });
  if (!blocks_.empty()) last_.reset();
  drop_unused_stacks();
}

void LiveHeap::clear() {
  blocks_.clear();
  last_.reset();
  stacks_.clear();
}

void LiveHeap::each(const std::function<void(const SampleView&)>& call) const {
  const auto tell = [&call](const Block& block) {
    const std::int64_t values[] = {0, 0, block.objects, block.bytes};
    SampleView sample;
    sample.stack = block.stack->frames();
    sample.pid = block.pid;
    sample.thread_id = block.thread_id;
    sample.thread_name = block.thread_name;
    sample.values = values;
    sample.process = block.process;
    sample.gil = block.gil;
    call(sample);
  };
  for (const auto& [id, block] : blocks_) tell(block);
  if (blocks_.empty() && last_) tell(*last_);
}

}  // namespace siprof::client
