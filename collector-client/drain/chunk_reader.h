// SPDX-License-Identifier: Apache-2.0
// Reads the chains of chunks that a process's threads write (shared_memory.h), puts
// samples together and gives consumed chunks back. Every byte is hostile: it is
// copied, checked, and the copy used. Fuzzed by test/fuzz/chunk_reader_fuzz.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/siprof/shared_memory.h"

namespace siprof::client {

// One sample with all of its stack that arrived.
struct RawSample {
  SampleFields record;  // of a walked one the head alone, and where it stood as the instruction pointer
  std::string extra;    // more of the event
  std::vector<std::byte> stack;
  std::vector<std::uint64_t> frames;  // walked by the process itself; empty: `stack` has to be unwound
  std::vector<std::uint64_t> python;  // words of Python frames (python.h), innermost first
};

// A kPythonCode record.
struct PythonCodePart {
  PythonCodeFields fields;
  std::string name;
  std::string file;
  std::vector<std::byte> table;  // from fields.part_start on
};

struct DrainStatistics {
  std::uint64_t samples = 0;
  std::uint64_t malformed = 0;  // records or chunks that make no sense; skipped
  std::uint64_t abandoned = 0;  // records that their writer never finished
  std::uint32_t chunks_in_use = 0;
};

class ChunkReader {
 public:
  using Sink = std::function<void(const RawSample&)>;
  using PythonSink = std::function<void(const PythonCodePart&)>;

  // `chunks` chunks start at `pool`, which stays mapped and readable.
  ChunkReader(std::byte* pool, std::uint32_t chunks) : pool_(pool), chunks_(chunks) {}

  // The pool has grown.
  void set_chunks(std::uint32_t chunks) { chunks_ = chunks; }

  // Gets what is told of Python code; without one that is skipped.
  void set_python_sink(PythonSink sink) { python_sink_ = std::move(sink); }

  // Consumes what is committed. `final`: the writers are gone, what is unfinished
  // will stay so.
  void drain(const Sink& sink, bool final);

  // Owners whose chunk has not moved for a while, as thread ids: the caller finds out
  // whether they live, and reclaims those of the dead.
  std::vector<std::uint32_t> idle_threads() const;
  void reclaim(std::uint32_t tid, const Sink& sink);

  const DrainStatistics& statistics() const { return statistics_; }

 private:
  struct Chain {
    std::uint32_t sequence = 0;  // of the chunk being read
    std::uint32_t index = 0;     // its place in the pool
    std::uint32_t offset = 0;    // consumed in it
    std::uint32_t still = 0;     // drains without any progress
    std::optional<RawSample> pending;
    std::uint32_t pending_age = 0;  // drains that its missing pieces were waited for
  };
  struct Place {
    std::uint64_t owner;
    std::uint32_t sequence;
    std::uint32_t index;
  };

  ChunkHeader* header(std::uint32_t index) const {
    return reinterpret_cast<ChunkHeader*>(pool_ + std::size_t{index} * kChunkBytes);
  }
  // In the order that they were claimed in, none left out, for each owner.
  std::vector<Place> occupied() const;
  std::vector<Place> look() const;
  bool is_being_read(const Place& place) const;
  // Where the thread that fills a chunk is. A chunk that it left is complete even if it
  // isn't sealed: a new attach or hostile bytes, but nothing more will come.
  enum class Writer { kHere, kElsewhere, kGone };
  // True when the chunk was given back.
  bool read_chunk(const Place& place, Chain& chain, const Sink& sink, Writer writer);
  // Bytes consumed; 0: nothing more to read now.
  std::uint32_t read_record(const std::byte* at, std::uint32_t available, Chain& chain, const Sink& sink);
  bool read_sample(const std::byte* at, std::uint32_t bytes, Chain& chain, const Sink& sink);
  bool read_frames(const std::byte* at, std::uint32_t bytes, Chain& chain, const Sink& sink);
  bool read_piece(const std::byte* at, std::uint32_t bytes, Chain& chain, const Sink& sink);
  bool read_python_code(const std::byte* at, std::uint32_t bytes);
  void emit(Chain& chain, const Sink& sink);
  void release(const Place& place);

  std::byte* pool_;
  std::uint32_t chunks_;
  PythonSink python_sink_;
  std::map<std::uint64_t, Chain> chains_;  // by owner
  DrainStatistics statistics_;
};

}  // namespace siprof::client
