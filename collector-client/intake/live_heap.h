// SPDX-License-Identifier: Apache-2.0
// Sampled allocations of one process that live, by the numbers that the process gave them. The heap intake
// enters them; which of them still live, the shared memory says. The agent's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/aggregate/aggregator.h"
#include "collector-client/python/functions.h"
#include "collector-client/unwind/module_cache.h"

namespace siprof::client {

class LiveHeap {
 public:
  LiveHeap(ModuleCache& modules, PythonFunctions& functions) : modules_(modules), functions_(functions) {}

  // Its label and values are those of `sample`, whose values are of what was allocated.
  void enter(std::uint64_t id, const SampleView& sample);
  // Forgets all but these, and numbers that nobody has entered.
  void keep(std::span<const std::uint64_t> ids);
  // Nothing is known any more.
  void clear();
  // Calls it with each, values being of what lives. When nothing does any more, with zeros and the stack of
  // one that did: a level of nothing is a level, too.
  void each(const std::function<void(const SampleView&)>& call) const;

  std::size_t size() const { return blocks_.size(); }

 private:
  // Their modules and Python functions stay as long as they do: nothing else may have them any more.
  class KeptStack {
   public:
    KeptStack(ModuleCache& modules, PythonFunctions& functions, std::span<const CodeAddress> frames);
    ~KeptStack();
    KeptStack(const KeptStack&) = delete;
    KeptStack& operator=(const KeptStack&) = delete;
    std::span<const CodeAddress> frames() const { return frames_; }

   private:
    ModuleCache& modules_;
    PythonFunctions& functions_;
    const Stack frames_;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::span<const CodeAddress> frames) const;
    std::size_t operator()(const std::shared_ptr<const KeptStack>& stack) const {
      return (*this)(stack->frames());
    }
  };
  struct Equal {
    using is_transparent = void;
    static std::span<const CodeAddress> frames(std::span<const CodeAddress> frames) { return frames; }
    static std::span<const CodeAddress> frames(const std::shared_ptr<const KeptStack>& stack) {
      return stack->frames();
    }
    bool operator()(const auto& a, const auto& b) const { return std::ranges::equal(frames(a), frames(b)); }
  };
  struct Block {
    std::shared_ptr<const KeptStack> stack;
    std::uint64_t process;
    pid_t pid;
    pid_t thread_id;
    std::string thread_name;
    std::int64_t objects;
    std::int64_t bytes;
    Gil gil;
  };

  void drop_unused_stacks();
  std::shared_ptr<const KeptStack> kept(std::span<const CodeAddress> frames);

  ModuleCache& modules_;
  PythonFunctions& functions_;
  absl::flat_hash_set<std::shared_ptr<const KeptStack>, Hash, Equal> stacks_;
  absl::flat_hash_map<std::uint64_t, Block> blocks_;
  std::optional<Block> last_;  // that lived, of no size, when none lives
};

}  // namespace siprof::client
