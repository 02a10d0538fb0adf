// SPDX-License-Identifier: Apache-2.0
// What Python functions are called, all processes' together: frames of them are numbers until a window is
// finished. A number is never given twice: one that is kept too long has no name any more, but never another
// function's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "collector-client/base/module.h"
#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

class PythonFunctions {
 public:
  struct Function {
    std::string name;  // "json.decoder.JSONDecoder.decode"
    std::string own_name;
    std::string file;
    std::uint32_t first_line = 0;

    friend bool operator==(const Function&, const Function&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Function& f) {
      return H::combine(std::move(h), f.name, f.own_name, f.file, f.first_line);
    }
  };

  // All but frame(): one thread, the agent's.

  // Its number, which is kept until each intern() has its release().
  std::uint64_t intern(Function function);
  // Another use of one that is in use; numbers that aren't known any more are nobody's.
  void retain(std::uint64_t function);
  void release(std::uint64_t function);

  // Now, for trim(): what is released later may be in windows that aren't finished.
  std::uint64_t moment() const { return clock_; }
  // Forgets what nobody has used since then.
  void trim(std::uint64_t moment);
  std::size_t size() const;

  // Any thread.
  SourceFrame frame(const CodeAddress& address) const;

  // `address` of a frame; a line of 0 is not known.
  static CodeAddress address_of(std::uint64_t function, std::uint32_t line);
  static std::uint64_t function_of(const CodeAddress& address) { return address.address >> kLineBits; }
  // In the place of a function whose name never came.
  static constexpr std::uint64_t kUnknown = 0;

 private:
  static constexpr unsigned kLineBits = 24;
  struct Entry {
    std::shared_ptr<const Function> function;
    std::uint64_t users = 0;
    std::uint64_t last_use = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Function& f) const { return absl::HashOf(f); }
    std::size_t operator()(const std::shared_ptr<const Function>& f) const { return absl::HashOf(*f); }
  };
  struct Equal {
    using is_transparent = void;
    static const Function& get(const Function& f) { return f; }
    static const Function& get(const std::shared_ptr<const Function>& f) { return *f; }
    bool operator()(const auto& a, const auto& b) const { return get(a) == get(b); }
  };

  mutable std::mutex mutex_;  // guards functions_
  absl::flat_hash_map<std::uint64_t, Entry> functions_;
  absl::flat_hash_map<std::shared_ptr<const Function>, std::uint64_t, Hash, Equal> numbers_;
  std::uint64_t last_number_ = kUnknown;
  std::uint64_t clock_ = 0;
};

}  // namespace siprof::client
