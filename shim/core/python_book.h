// SPDX-License-Identifier: Apache-2.0
// Which code objects the agent has been told of. The address of one names another once it is freed, so that
// it counts with what is cheap to see of its object: where its strings and its line table are, and their
// hashes. What is told goes by a mark, a hash of all that the object says.
//
// A table without locks, shared by all threads: an entry that two write at once is nobody's, and one that is
// overwritten is told again. Context of all: signal handler, a hook; the fault guard is in force.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/siprof/python.h"
#include "shim/base/attrs.h"
#include "shim/core/ring_writer.h"

namespace siprof::shim {

struct BookEntry {
  std::atomic<std::uint64_t> check;  // the key, exclusive-ored with `told`
  std::atomic<std::uint64_t> told;   // mark << 22 | edition; 0: none
};
inline constexpr std::uint32_t kBookEntries = 16384;

// Of a reader: another agent, or another turn of one, has to be told everything again. Below 1 << 22.
using BookEdition = std::uint32_t;

// What of a code object a reader of its frame has to look at.
struct PythonCode {
  std::uint64_t address;
  std::uint64_t name;
  std::uint64_t file_name;
  std::uint64_t line_table;
  std::uint64_t table_bytes;
  std::uint64_t name_hash;
  std::uint64_t file_hash;
  std::uint32_t first_line;
};

// False: unreadable. `address` is of an object of the code type.
SIPROF_SIGNAL_SAFE bool look_at_code(const PythonLayout& layout, std::uint64_t address, PythonCode* code);

class PythonBook {
 public:
  explicit PythonBook(BookEntry* entries) : entries_(entries) {}  // kBookEntries of them

  // 0: not told.
  SIPROF_SIGNAL_SAFE std::uint64_t find(const PythonCode& code, BookEdition edition) const;
  SIPROF_SIGNAL_SAFE void note(const PythonCode& code, BookEdition edition, std::uint64_t mark);

 private:
  BookEntry* entries_;
};

enum class Telling { kTold, kNoRoom, kUnreadable };

// Writes all that the object says. Its mark, with which a sample may be written behind that. At most some
// kMaxPythonLineTable bytes.
SIPROF_SIGNAL_SAFE Telling tell_code(RingWriter* writer, const PythonLayout& layout, const PythonCode& code,
                                     std::uint64_t* mark, std::uint32_t* bytes);

}  // namespace siprof::shim
