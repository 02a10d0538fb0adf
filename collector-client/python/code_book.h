// SPDX-License-Identifier: Apache-2.0
// What one process has told of its Python code, by mark: names, files and lines of its frames. The bytes come
// from the process: what it may keep here is bounded. The agent's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "collector-client/drain/chunk_reader.h"
#include "collector-client/python/functions.h"
#include "collector-client/python/module_name.h"

namespace siprof::client {

class CodeBook {
 public:
  // Of this many codes or bytes it turns over: see turn_over().
  struct Limits {
    std::size_t codes = 32'768;
    std::size_t bytes = 8u << 20;
  };

  CodeBook(PythonFunctions& functions, std::shared_ptr<FileOpener> opener)
      : CodeBook(functions, std::move(opener), Limits()) {}
  CodeBook(PythonFunctions& functions, std::shared_ptr<FileOpener> opener, Limits limits);
  ~CodeBook();
  CodeBook(const CodeBook&) = delete;
  CodeBook& operator=(const CodeBook&) = delete;

  // A record; parts of a line table come in order, others are ignored. What is known already stays.
  void define(const PythonCodePart& part);

  // Whether the mark and its whole line table are here, or were waited for in vain.
  bool knows(std::uint64_t mark) const;
  // From now on it isn't waited for any more; with a name but half a line table it goes by its first line.
  void give_up(std::uint64_t mark);

  // A frame that nobody wrote, and that Python doesn't show either: of 3.12's code that cleans up after an
  // __init__ called without a frame of C.
  bool is_helper(std::uint64_t word);
  // The frame of a word; without a name where there is none.
  CodeAddress frame(std::uint64_t word);

  // It is full. The process has to tell all of its codes anew, then turn_over().
  bool is_full() const { return codes_.size() >= limits_.codes || bytes_ >= limits_.bytes; }
  // What is known may be forgotten at the next turn, unless it is used or told until then.
  void turn_over();

  std::size_t size() const { return codes_.size() + before_.size(); }

 private:
  struct Code {
    std::uint64_t function = PythonFunctions::kUnknown;
    std::uint32_t first_line = 0;
    std::uint32_t table_bytes = 0;  // of the whole
    std::size_t text_bytes = 0;
    std::uint16_t version = 0;
    bool is_helper = false;
    std::vector<std::byte> table;  // as far as it came

    bool is_whole() const { return table.size() == table_bytes; }
  };
  using Codes = absl::flat_hash_map<std::uint64_t, Code>;  // by mark

  // Out of those before, too; null: not known.
  const Code* find(std::uint64_t mark);
  void release(const Codes& codes);
  static std::uint32_t line_at(const Code& code, std::uint32_t instruction);

  PythonFunctions& functions_;
  PackageFolders folders_;
  const Limits limits_;
  Codes codes_;
  Codes before_;  // the last turn, and not used since
  std::size_t bytes_ = 0;
  absl::flat_hash_set<std::uint64_t> given_up_;             // marks
  absl::flat_hash_map<std::uint64_t, CodeAddress> frames_;  // by word, without its flags
};

}  // namespace siprof::client
