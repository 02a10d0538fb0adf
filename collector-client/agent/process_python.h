// SPDX-License-Identifier: Apache-2.0
// The Python interpreter of one process: tells the process where it is, keeps what the process tells of its
// code, and puts Python frames among the native ones of its samples. The agent's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collector-client/aggregate/window.h"
#include "collector-client/base/resource.h"
#include "collector-client/drain/chunk_reader.h"
#include "collector-client/drain/shared_pool.h"
#include "collector-client/python/code_book.h"
#include "collector-client/python/functions.h"
#include "collector-client/python/interleave.h"
#include "collector-client/python/native_frames.h"
#include "collector-client/python/python_module.h"
#include "collector-client/unwind/module_map.h"
#include "collector-client/unwind/unwinder.h"

namespace siprof::client {

// What a process says itself of the frames that its stacks show; what it says wrongly is a warning.
NativeFrames native_frames_of(const Environment& environment, NativeFrames otherwise,
                              std::vector<std::string>* warnings);

// What sessions share of it.
struct PythonWorkshop {
  PythonModules& modules;
  PythonFunctions& functions;
};

class ProcessPython {
 public:
  // All of them outlive it. `pid` is for the log.
  ProcessPython(SharedPool& pool, const PythonWorkshop& workshop, std::shared_ptr<FileOpener> opener,
                NativeFrames shown, pid_t pid);

  // The mappings as of `unmap_generation`: looks for an interpreter if they changed. `executable` may be
  // null; of several interpreters it goes first, then the one that was found before.
  void follow(const ModuleMap& map, const Module* executable, std::uint32_t unmap_generation);
  // The process doesn't want what it was told: a line in the log, once.
  void look_for_refusal();

  // "3.11.2" of an interpreter, whether its frames can be read or not; empty: none.
  const std::string& version() const { return version_; }

  void define(const PythonCodePart& part) { book_.define(part); }
  // Whether all of a sample's marks have come, or won't.
  bool knows(const RawSample& sample) const;
  void give_up(const RawSample& sample);

  // Python frames take their places in the stack, and what isn't to be shown goes. Returns how that went, by
  // a counter's name; null: the sample has none.
  const char* mix(const RawSample& sample, StackEnd end, std::vector<CodeAddress>* stack);
  // Of the native stack, before mix().
  Gil gil_of(const RawSample& sample, std::span<const CodeAddress> stack) const;

  // Once a window, when it has been cut: a book that is full begins anew.
  void refresh();
  // What went wrong since the last call, by counters' names; what lasts is in each.
  Counters take_failures();

 private:
  struct Found {
    const Module* module = nullptr;
    const PythonModule* python = nullptr;
    std::uint64_t bias = 0;

    friend bool operator==(const Found&, const Found&) = default;
  };
  Found find(const ModuleMap& map, const Module* executable);
  void publish();

  SharedPool& pool_;
  PythonWorkshop workshop_;
  const NativeFrames shown_;
  const pid_t pid_;
  CodeBook book_;
  Found found_;  // what the process has been told of; no module: nothing
  std::string version_;
  bool has_unreadable_ = false;  // an interpreter whose frames can't be read
  bool has_several_ = false;
  bool refusal_told_ = false;
  bool is_told_ = false;       // the process, of found_
  std::uint64_t unnamed_ = 0;  // frames, since take_failures()
  std::uint64_t map_generation_ = ~std::uint64_t{0};
  std::uint32_t unmap_generation_ = kUnmapping;
  std::vector<PythonFrame> frames_;  // kept for their memory
  std::vector<CodeAddress> mixed_;
};

}  // namespace siprof::client
