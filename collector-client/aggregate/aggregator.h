// SPDX-License-Identifier: Apache-2.0
// Sums samples by (series, kind, stack, thread, labels) until the window is cut.
// Fed by the drain, cut by the agent's window timer; one thread.
//
// Memory is bounded: what a bound turns away is counted, never silent, in
// `aggregate_dropped` (samples lost) and `aggregate_cut_frames` (frames lost at
// the root of very deep stacks).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "collector-client/aggregate/window.h"

namespace siprof::client {

// A sample as the drain has it; copied only where it is new to the window.
struct SampleView {
  std::span<const CodeAddress> stack;  // leaf first; empty: could not be unwound
  pid_t pid = 0;
  pid_t thread_id = 0;
  std::string_view thread_name;
  std::span<const SampleLabel> labels;
  std::span<const std::int64_t> values;  // as many as the kind has types, already scaled up
  std::uint64_t process = 0;             // see WindowSample
  std::span<const CodeAddress> holder;   // the same; empty: not known
  Gil gil = Gil::kUnknown;
};

class Aggregator {
 public:
  struct Limits {
    std::size_t samples = 200'000;   // distinct, over all series of a window
    std::size_t frames = 4'000'000;  // of distinct stacks: 64 MB at worst
    std::size_t frames_of_a_stack = 1024;
  };

  explicit Aggregator(absl::Time start) : Aggregator(start, Limits()) {}
  Aggregator(absl::Time start, Limits limits) : start_(start), limits_(limits) {}

  // The series of these attributes; equal attributes give the same object.
  std::shared_ptr<const Series> series(const Attributes& attributes, const Module* main_executable);

  // Of the series that somebody holds: their modules may not go.
  std::vector<const Module*> main_executables() const;

  void add(const std::shared_ptr<const Series>& series, Kind kind, const SampleView& sample);

  // Adds to a counter that travels with this window's profile.
  void count(const std::shared_ptr<const Series>& series, Kind kind, std::string_view name,
             std::uint64_t amount);
  // States a level (a rate in force, a size); replaces what was stated before.
  void state(const std::shared_ptr<const Series>& series, Kind kind, std::string_view name,
             std::uint64_t value);

  // Ends the window at `now` and starts the next one there. A series and kind
  // without samples appears only if something was counted for it: stated levels
  // alone don't make a profile.
  std::vector<Window> cut(absl::Time now) { return cut(now - start_, now); }
  // The same where the clock may have been set meanwhile: this one lasted so long, the next
  // one starts then.
  std::vector<Window> cut(absl::Duration lasted, absl::Time next_start);

  absl::Time start() const { return start_; }

  std::size_t distinct_samples() const { return sample_count_; }

 private:
  struct Key {
    std::shared_ptr<const Stack> stack;
    std::uint64_t process;
    pid_t pid;
    pid_t thread_id;
    std::string thread_name;
    std::vector<SampleLabel> labels;
    std::shared_ptr<const Stack> holder;
    Gil gil;
  };
  // Looks up by SampleView without building a Key.
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const Key& key) const;
    std::size_t operator()(const SampleView& view) const;
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const Key& a, const Key& b) const;
    bool operator()(const Key& a, const SampleView& b) const;
    bool operator()(const SampleView& a, const Key& b) const { return (*this)(b, a); }
  };
  struct StackHash {
    using is_transparent = void;
    std::size_t operator()(const std::shared_ptr<const Stack>& stack) const;
    std::size_t operator()(std::span<const CodeAddress> stack) const;
  };
  struct StackEqual {
    using is_transparent = void;
    bool operator()(const std::shared_ptr<const Stack>& a, const std::shared_ptr<const Stack>& b) const;
    bool operator()(const std::shared_ptr<const Stack>& a, std::span<const CodeAddress> b) const;
    bool operator()(std::span<const CodeAddress> a, const std::shared_ptr<const Stack>& b) const {
      return (*this)(b, a);
    }
  };
  struct Bucket {
    absl::flat_hash_map<Key, Values, KeyHash, KeyEqual> sums;
    Counters counters;
    Counters levels;
  };
  using BucketKey = std::pair<std::shared_ptr<const Series>, Kind>;

  Bucket& bucket(const std::shared_ptr<const Series>& series, Kind kind) { return buckets_[{series, kind}]; }
  // Null when a bound is reached.
  std::shared_ptr<const Stack> intern(std::span<const CodeAddress> stack);

  absl::Time start_;
  Limits limits_;
  std::size_t sample_count_ = 0;
  std::size_t frame_count_ = 0;
  absl::flat_hash_set<std::shared_ptr<const Stack>, StackHash, StackEqual> stacks_;
  std::map<BucketKey, Bucket> buckets_;
  std::map<Attributes, std::weak_ptr<const Series>> known_series_;
};

}  // namespace siprof::client
