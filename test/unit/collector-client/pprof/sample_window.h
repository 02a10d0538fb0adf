// SPDX-License-Identifier: Apache-2.0
// Windows and names for the tests of pprof and export.
#pragma once

#include <map>
#include <utility>

#include "collector-client/aggregate/frame_source.h"
#include "collector-client/aggregate/window.h"

namespace siprof::client {

class FakeFrames : public FrameSource {
 public:
  std::vector<SourceFrame> frames(const CodeAddress& address, std::uint64_t process) override {
    ++asked;
    const auto found = known.find({address.module, address.address});
    if (found != known.end()) return found->second;
    if (address.module == nullptr) return {{"jit_" + std::to_string(process), "", "", 0, 0}};
    return {};
  }
  std::map<std::pair<const Module*, std::uint64_t>, std::vector<SourceFrame>> known;
  int asked = 0;
};

inline const Module kApp{.path = "/bin/app",
                         .build_id = "ab",
                         .text_start = 0x1000,
                         .text_end = 0x9000,
                         .text_file_offset = 0x1000,
                         .image = nullptr};
inline const Module kLibrary{.path = "/lib/libfoo.so",
                             .build_id = "cd",
                             .text_start = 0x1000,
                             .text_end = 0x2000,
                             .text_file_offset = 0,
                             .image = nullptr};

inline WindowSample make_sample(Stack stack, Values values, pid_t pid = 7, pid_t tid = 8) {
  WindowSample sample;
  sample.stack = std::make_shared<const Stack>(std::move(stack));
  sample.pid = pid;
  sample.process = static_cast<std::uint64_t>(pid);
  sample.thread_id = tid;
  sample.thread_name = "worker";
  sample.values = values;
  return sample;
}

inline Window make_window(Kind kind = Kind::kCpu, std::int64_t start_seconds = 1'700'000'000) {
  Window window;
  window.series = std::make_shared<const Series>(Series{{{"service.name", "app"}}, &kApp});
  window.kind = kind;
  window.start = absl::FromUnixSeconds(start_seconds);
  window.duration = absl::Seconds(10);
  return window;
}

// big() inlined into main, and an unnamed address of a library.
inline FakeFrames make_frames() {
  FakeFrames frames;
  frames.known[{&kApp, 0x1010}] = {{"big()", "_Z3bigv", "/src/a.cpp", 3, 1},
                                   {"main", "main", "/src/a.cpp", 20, 18}};
  frames.known[{&kApp, 0x1020}] = {{"main", "main", "/src/a.cpp", 21, 18}};
  frames.known[{&kApp, 0x1030}] = {{"small()", "_Z5smallv", "/src/a.cpp", 9, 8}};
  return frames;
}

}  // namespace siprof::client
