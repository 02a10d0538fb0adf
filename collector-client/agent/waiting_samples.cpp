// SPDX-License-Identifier: Apache-2.0
// See waiting_samples.h.
#include "collector-client/agent/waiting_samples.h"

#include <utility>

namespace siprof::client {
namespace {

// One does where nothing is wrong: what is written before a sample is in the chunks that the next drain looks
// at. A thread that was stopped between the parts of a record takes longer.
constexpr std::uint64_t kPatience = 3;  // drains
constexpr std::size_t kMostSamples = 1024;

}  // namespace

void WaitingSamples::take(const RawSample& sample, UnwoundStack& stack, const Stack& holder) {
  if (samples_.empty() && python_.knows(sample)) return use_(sample, stack, holder);
  if (samples_.size() >= kMostSamples) finish();
  // What has been unwound isn't needed any more.
  RawSample rest{
      .record = sample.record, .extra = sample.extra, .stack = {}, .frames = {}, .python = sample.python};
  samples_.push_back({std::move(rest), stack, holder, drains_});
}

void WaitingSamples::after_drain() {
  ++drains_;
  hand_on(drains_ > kPatience ? drains_ - kPatience : 0);
}

void WaitingSamples::finish() {
  hand_on(drains_ + 1);
}

void WaitingSamples::hand_on(std::uint64_t oldest) {
  while (!samples_.empty()) {
    Waiting& first = samples_.front();
    if (!python_.knows(first.sample)) {
      if (first.since >= oldest) return;
      python_.give_up(first.sample);
    }
    use_(first.sample, first.stack, first.holder);
    samples_.pop_front();
  }
}

}  // namespace siprof::client
