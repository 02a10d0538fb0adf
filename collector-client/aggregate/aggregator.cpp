// SPDX-License-Identifier: Apache-2.0
// The sums of one window; see aggregator.h.
#include "collector-client/aggregate/aggregator.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/types/span.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

// Of a kind's counters for samples that a bound turned away.
constexpr char kDropped[] = "aggregate_dropped";
constexpr char kCutFrames[] = "aggregate_cut_frames";

std::size_t hash_stack(std::span<const CodeAddress> stack) {
  return absl::HashOf(absl::Span<const CodeAddress>(stack.data(), stack.size()));
}

bool equal_stacks(std::span<const CodeAddress> a, std::span<const CodeAddress> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::size_t hash_parts(std::span<const CodeAddress> stack, std::uint64_t process, pid_t thread_id,
                       std::string_view name, std::span<const SampleLabel> labels,
                       std::span<const CodeAddress> holder, Gil gil) {
  return absl::HashOf(hash_stack(stack), process, thread_id, to_absl(name),
                      absl::Span<const SampleLabel>(labels.data(), labels.size()), hash_stack(holder), gil);
}

std::span<const CodeAddress> frames_of(const std::shared_ptr<const Stack>& stack) {
  return stack != nullptr ? std::span<const CodeAddress>(*stack) : std::span<const CodeAddress>();
}

}  // namespace

std::size_t Aggregator::StackHash::operator()(const std::shared_ptr<const Stack>& stack) const {
  return hash_stack(*stack);
}
std::size_t Aggregator::StackHash::operator()(std::span<const CodeAddress> stack) const {
  return hash_stack(stack);
}
bool Aggregator::StackEqual::operator()(const std::shared_ptr<const Stack>& a,
                                        const std::shared_ptr<const Stack>& b) const {
  return a == b || *a == *b;
}
bool Aggregator::StackEqual::operator()(const std::shared_ptr<const Stack>& a,
                                        std::span<const CodeAddress> b) const {
  return equal_stacks(*a, b);
}

std::size_t Aggregator::KeyHash::operator()(const Key& key) const {
  return hash_parts(*key.stack, key.process, key.thread_id, key.thread_name, key.labels,
                    frames_of(key.holder), key.gil);
}
std::size_t Aggregator::KeyHash::operator()(const SampleView& view) const {
  return hash_parts(view.stack, view.process, view.thread_id, view.thread_name, view.labels, view.holder,
                    view.gil);
}
bool Aggregator::KeyEqual::operator()(const Key& a, const Key& b) const {
  return a.stack == b.stack && a.process == b.process && a.pid == b.pid && a.thread_id == b.thread_id &&
         a.thread_name == b.thread_name && a.labels == b.labels && a.holder == b.holder && a.gil == b.gil;
}
bool Aggregator::KeyEqual::operator()(const Key& a, const SampleView& b) const {
  return a.process == b.process && a.pid == b.pid && a.thread_id == b.thread_id &&
         a.thread_name == b.thread_name && a.gil == b.gil && equal_stacks(*a.stack, b.stack) &&
         std::equal(a.labels.begin(), a.labels.end(), b.labels.begin(), b.labels.end()) &&
         equal_stacks(frames_of(a.holder), b.holder);
}

std::shared_ptr<const Series> Aggregator::series(const Attributes& attributes,
                                                 const Module* main_executable) {
  std::weak_ptr<const Series>& known = known_series_[attributes];
  std::shared_ptr<const Series> series = known.lock();
  if (series == nullptr) {
    series = std::make_shared<const Series>(Series{attributes, main_executable});
    known = series;
  }
  return series;
}

std::vector<const Module*> Aggregator::main_executables() const {
  std::vector<const Module*> modules;
  for (const auto& [attributes, known] : known_series_) {
    if (const auto series = known.lock()) modules.push_back(series->main_executable);
  }
  return modules;
}

std::shared_ptr<const Stack> Aggregator::intern(std::span<const CodeAddress> stack) {
  if (const auto found = stacks_.find(stack); found != stacks_.end()) return *found;
  if (frame_count_ + stack.size() > limits_.frames) return nullptr;
  auto copy = std::make_shared<const Stack>(stack.begin(), stack.end());
  frame_count_ += stack.size();
  stacks_.insert(copy);
  return copy;
}

void Aggregator::add(const std::shared_ptr<const Series>& series, Kind kind, const SampleView& sample) {
  Bucket& into = bucket(series, kind);
  SampleView view = sample;
  if (view.stack.size() > limits_.frames_of_a_stack) {
    into.counters[kCutFrames] += view.stack.size() - limits_.frames_of_a_stack;
    view.stack = view.stack.first(limits_.frames_of_a_stack);
  }
  auto found = into.sums.find(view);
  if (found == into.sums.end()) {
    std::shared_ptr<const Stack> stack =
        sample_count_ < limits_.samples ? intern(view.stack) : std::shared_ptr<const Stack>();
    if (stack == nullptr) {
      ++into.counters[kDropped];
      return;
    }
    std::shared_ptr<const Stack> holder = view.holder.empty() ? nullptr : intern(view.holder);
    Key key{std::move(stack),
            view.process,
            view.pid,
            view.thread_id,
            std::string(view.thread_name),
            std::vector<SampleLabel>(view.labels.begin(), view.labels.end()),
            std::move(holder),
            view.gil};
    // A holder that there is no room for is left out, so that it may be known without one.
    const auto [entry, is_new] = into.sums.emplace(std::move(key), Values{});
    if (is_new) ++sample_count_;
    found = entry;
  }
  const std::size_t count = std::min(view.values.size(), kMaxValues);
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t& sum = found->second[i];
    sum = view.values[i] > kMostTotal - sum ? kMostTotal : sum + view.values[i];
  }
}

void Aggregator::count(const std::shared_ptr<const Series>& series, Kind kind, std::string_view name,
                       std::uint64_t amount) {
  if (amount != 0) bucket(series, kind).counters[std::string(name)] += amount;
}

void Aggregator::state(const std::shared_ptr<const Series>& series, Kind kind, std::string_view name,
                       std::uint64_t value) {
  bucket(series, kind).levels[std::string(name)] = value;
}

std::vector<Window> Aggregator::cut(absl::Duration lasted, absl::Time next_start) {
  std::vector<Window> windows;
  windows.reserve(buckets_.size());
  for (auto& [key, bucket] : buckets_) {
    if (bucket.sums.empty() && bucket.counters.empty()) continue;
    Window window{key.first, key.second, start_, lasted, {}, std::move(bucket.counters)};
    window.counters.merge(bucket.levels);
    window.samples.reserve(bucket.sums.size());
    for (const auto& [sample, values] : bucket.sums) {
      window.samples.push_back({sample.stack, sample.pid, sample.thread_id, sample.thread_name, sample.labels,
                                values, sample.process, sample.holder, sample.gil});
    }
    windows.push_back(std::move(window));
  }
  // Everything goes: what the next window needs it meets again, and what has
  // ended must not hold memory.
  buckets_.clear();
  stacks_.clear();
  sample_count_ = frame_count_ = 0;
  std::erase_if(known_series_, [](const auto& entry) { return entry.second.expired(); });
  start_ = next_start;
  return windows;
}

}  // namespace siprof::client
