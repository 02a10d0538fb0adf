// SPDX-License-Identifier: Apache-2.0
// From what the agent shows of an interpreter to the words of a sample.
#include "shim/core/python_view.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "shim/core/capture.h"
#include "shim/core/fault_guard.h"
#include "shim/core/python_check.h"
#include "shim/core/unmaps.h"
#include "test/unit/shim/fake_python.h"
#include "test/unit/shim/test_pool.h"

namespace siprof::shim {
namespace {

std::uint64_t g_state = 0;
std::uint64_t g_current = 0;
int g_finalizing = 0;
std::uint64_t this_thread_state() {
  return g_state;
}
std::uint64_t current_state() {
  return g_current;
}
int is_finalizing() {
  return g_finalizing;
}

struct Scene {
  FakePython python;
  TestPool pool;
  ThreadState thread{};
  ucontext_t context{};
  std::uint32_t generation = 0;

  explicit Scene(const PythonLayout& layout, std::uint32_t chunks = 64) : python(layout), pool(chunks) {
    thread.tid = sys::thread_id();
    thread.serial = 3;
    // The stack that it runs on: there is room.
    thread.stack_low = stack_here() - 256 * 1024;
    thread.stack_high = stack_here() + 4096;
    context.uc_stack.ss_flags = SS_DISABLE;
    context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(stack_here());
  }
  PythonView& view() { return pool.header()->python; }
  void show() {
    view().generation = 0;
    view().unmap_generation = unmap_generation();
    view().this_thread_state = reinterpret_cast<std::uint64_t>(this_thread_state);
    view().current_state =
        python.layout().status == kNoOffset ? reinterpret_cast<std::uint64_t>(current_state) : 0;
    view().is_finalizing = reinterpret_cast<std::uint64_t>(is_finalizing);
    view().code_type = python.code_type();
    view().layout = python.layout();
    view().generation = ++generation;
  }
  void sample(EventKind kind = EventKind::kCpu) {
    capture(pool.header(), 1, thread, {kind, 5'000'000'000, {1, 10'000'000}}, &context);
  }
  PythonRefusal refusal() { return static_cast<PythonRefusal>(view().refusal.load()); }
  std::uint64_t counted(Counter counter) const {
    return pool.header()->counters[static_cast<std::uint32_t>(counter)].load();
  }
};

struct Records {
  std::uint32_t codes = 0;
  std::uint32_t samples = 0;
  std::uint32_t flags = 0;
  std::vector<std::uint64_t> words;  // of the last sample
  std::vector<std::uint64_t> marks;  // told before it
};

Records read(const TestPool& pool) {
  Records out;
  for (std::uint32_t i = 0; i < pool.header()->chunk_count.load(); ++i) {
    const char* at = reinterpret_cast<const char*>(&pool.chunk(i) + 1);
    for (std::uint32_t used = 0; used < pool.chunk(i).reserved.load();) {
      const auto* header = reinterpret_cast<const RecordHeader*>(at + used);
      if (header->kind.load() == RecordKind::kPythonCode) {
        PythonCodeFields fields{};
        memcpy(&fields, header + 1, sizeof(fields));
        if (out.samples == 0) out.marks.push_back(fields.mark);
        ++out.codes;
      }
      if (header->kind.load() == RecordKind::kSample) {
        const auto* sample = reinterpret_cast<const SampleRecord*>(header);
        ++out.samples;
        out.flags = sample->sample.head.flags;
        const auto* words = reinterpret_cast<const std::uint64_t*>(sample + 1);
        out.words.assign(words, words + sample->sample.python_words);
      }
      if (header->bytes == 0) break;
      used += header->bytes;
    }
  }
  return out;
}

// 0: all held, else the number of the first expectation that didn't.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    g_process.pid = getpid();
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST_CASE("a sample has its Python frames, named before it and once") {
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    CHECK(in_child([&] {
            Scene scene(layout);
            const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
            const std::uint64_t g = scene.python.code(U"g", U"a.py", 9, "lines");
            std::vector<FakeFrame> frames = {{f, 3, false}, {g, 70, true}};
            if (layout.entry_kind == PythonEntry::kShim) frames.push_back({0, 0, false, true});
            g_state = g_current = scene.python.thread_state(frames);
            scene.sample();
            if (scene.counted(Counter::python_skipped) != 0 || guard_is_in_force()) return 1;
            scene.show();
            scene.sample();
            if (scene.refusal() != PythonRefusal::kNone) return 2;
            const Records first = read(scene.pool);
            if (first.samples != 2 || first.codes != 2 || first.words.size() != 2) return 3;
            if (python_instruction(first.words[0]) != 3 || python_instruction(first.words[1]) != 70) return 4;
            if ((first.words[1] & kPythonSegmentEnd) == 0) return 5;
            scene.sample(EventKind::kHeap);
            const Records second = read(scene.pool);
            if (second.codes != 2 || second.words != first.words) return 6;
            if (scene.counted(Counter::python_walked) != 2) return 7;
            // Another turn of the agent's, and another agent.
            scene.show();
            scene.sample();
            return read(scene.pool).codes == 4 ? 0 : 8;
          }) == 0);
  }
}

TEST_CASE("without the GIL a thread's frames are walked, and said to be so") {
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    CHECK(in_child([&] {
            Scene scene(layout);
            const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
            g_state = scene.python.thread_state({{f, 3, true}});
            g_current = 0;
            if (layout.status != kNoOffset) FakePython::put(g_state + layout.status, std::uint32_t{0});
            scene.show();
            scene.sample();
            const Records records = read(scene.pool);
            if (records.words.size() != 1) return 1;
            return (records.flags & kPythonReleased) != 0 ? 0 : 2;
          }) == 0);
  }
}

TEST_CASE("another thread's state isn't walked, and none is no loss") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().back());
          const PythonLayout& layout = scene.python.layout();
          const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
          g_state = scene.python.thread_state({{f, 3, true}});
          FakePython::put(g_state + layout.thread_id, std::uint64_t{1});
          scene.show();
          scene.sample();
          if (read(scene.pool).words.size() != 1) return 1;  // by its own number
          FakePython::put(g_state + layout.native_thread_id, std::uint64_t{1});
          scene.sample();
          if (!read(scene.pool).words.empty()) return 2;
          g_state = 0;
          scene.sample();
          if (!read(scene.pool).words.empty()) return 3;
          return scene.counted(Counter::python_skipped) == 0 && scene.counted(Counter::python_broken) == 0
                     ? 0
                     : 4;
        }) == 0);
}

TEST_CASE("when the interpreter ends, only the main thread's frames are looked at") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().back());
          const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
          g_state = scene.python.thread_state({{f, 3, true}});
          g_finalizing = 1;
          scene.show();
          scene.sample();
          if (read(scene.pool).words.size() != 1) return 1;
          g_process.pid = 1;
          scene.sample();
          return read(scene.pool).words.empty() ? 0 : 2;
        }) == 0);
}

TEST_CASE("an interpreter that describes itself otherwise is refused") {
  for (const PythonLayout& layout : fake_layouts()) {
    CAPTURE(layout.version);
    CHECK(in_child([&] {
            Scene scene(layout);
            g_state = scene.python.thread_state({});
            scene.show();
            scene.view().layout.first_line += 8;
            scene.sample();
            if (scene.refusal() != PythonRefusal::kOtherLayout) return 1;
            scene.show();
            scene.view().code_type = scene.python.end() - 64;
            scene.sample();
            if (scene.refusal() != PythonRefusal::kUnreadable) return 2;
            scene.show();
            scene.sample();
            return scene.refusal() == PythonRefusal::kNone ? 0 : 3;
          }) == 0);
    const GuardHere guard;
    FakePython python(layout);
    CHECK(check_code_type(layout, python.code_type()) == PythonRefusal::kNone);
    for (std::uint16_t PythonLayout::*field :
         {&PythonLayout::code_bytes, &PythonLayout::file_name, &PythonLayout::name, &PythonLayout::plain_name,
          &PythonLayout::line_table, &PythonLayout::first_line, &PythonLayout::flags}) {
      PythonLayout other = layout;
      other.*field = static_cast<std::uint16_t>(other.*field + 8);
      CHECK(check_code_type(other, python.code_type()) == PythonRefusal::kOtherLayout);
    }
    PythonLayout odd = layout;
    odd.top_frame += 1;
    CHECK(check_code_type(odd, python.code_type()) == PythonRefusal::kOtherLayout);
    CHECK(check_code_type(layout, 0) == PythonRefusal::kUnreadable);
  }
}

TEST_CASE("while code is unmapped the interpreter isn't called") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().back());
          const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
          g_state = scene.python.thread_state({{f, 3, true}});
          scene.show();
          scene.sample();
          if (read(scene.pool).words.size() != 1) return 1;
          begin_unmap();
          scene.sample();
          if (!read(scene.pool).words.empty()) return 2;
          end_unmap();
          scene.sample();  // the agent hasn't looked
          if (!read(scene.pool).words.empty()) return 3;
          scene.view().unmap_generation = unmap_generation();
          scene.sample();
          if (read(scene.pool).words.size() != 1) return 4;
          return scene.counted(Counter::python_skipped) == 2 ? 0 : 5;
        }) == 0);
}

TEST_CASE("in a tick that began before the guard did, a fault is survived as well") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().back());
          const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
          g_state = scene.python.thread_state({{f, 3, true}, {f, 1, true}});
          std::uint64_t frame = 0;
          memcpy(&frame, reinterpret_cast<void*>(g_state + scene.python.layout().top_frame), 8);
          FakePython::put(frame + scene.python.layout().previous, scene.python.end());
          const sys::SignalSet all = ~sys::SignalSet{0};
          sys::change_mask(SIG_BLOCK, &all, nullptr);
          scene.show();
          scene.sample();
          scene.sample();
          return scene.counted(Counter::python_faults) == 2 && read(scene.pool).words.size() == 1 ? 0 : 1;
        }) == 0);
}

TEST_CASE("a handler of the app's own making leaves samples without Python frames") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().back());
          g_state = scene.python.thread_state({{scene.python.code(U"f", U"a.py", 1, "lines"), 3, true}});
          scene.show();
          scene.sample();
          if (read(scene.pool).words.size() != 1) return 1;
          const KernelAction action{};
          kernel_sigaction(SIGSEGV, &action, nullptr);
          capture(scene.pool.header(), 1, scene.thread, {EventKind::kCpu, 6'000'000'000, {1, 1}},
                  &scene.context);
          if (!read(scene.pool).words.empty() || scene.refusal() != PythonRefusal::kNoGuard) return 2;
          fault_sigaction(SIGSEGV, &action, nullptr);
          capture(scene.pool.header(), 1, scene.thread, {EventKind::kCpu, 7'000'000'000, {1, 1}},
                  &scene.context);
          return read(scene.pool).words.size() == 1 && scene.refusal() == PythonRefusal::kNone ? 0 : 3;
        }) == 0);
}

TEST_CASE("names that find no room cost the sample its Python frames, and come with the next") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().back(), /*chunks=*/4);
          const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, std::string(30'000, 'T'));
          g_state = scene.python.thread_state({{f, 3, true}});
          scene.show();
          scene.sample();
          if (scene.counted(Counter::python_code_lost) != 1) return 1;
          scene.pool.replace(/*chunks=*/4, 1);
          scene.thread.chunk = 0;
          FakePython::put(f + scene.python.layout().line_table, scene.python.bytes("lines"));
          scene.show();
          scene.sample();
          const Records records = read(scene.pool);
          return records.words.size() == 1 && records.marks.size() == 1 &&
                         python_mark(records.words[0]) == records.marks[0]
                     ? 0
                     : 2;
        }) == 0);
}

TEST_CASE("more frames than are kept are cut, and what breaks off is said to") {
  CHECK(in_child([] {
          Scene scene(fake_layouts().front());
          const std::uint64_t f = scene.python.code(U"f", U"a.py", 1, "lines");
          g_state = g_current =
              scene.python.thread_state(std::vector<FakeFrame>(kMaxPythonFrames + 1, {f, 3, true}));
          scene.show();
          scene.sample();
          Records records = read(scene.pool);
          if (records.words.size() != kMaxPythonFrames || (records.flags & kPythonCut) == 0) return 1;
          if (scene.counted(Counter::python_cut) != 1 || scene.counted(Counter::python_broken) != 0) return 2;
          g_state = g_current = scene.python.thread_state({{f, 3, true}, {scene.python.end() - 16, 1, true}});
          scene.sample();
          records = read(scene.pool);
          if (records.words.size() != 1 || (records.flags & kPythonBroken) == 0) return 3;
          return scene.counted(Counter::python_broken) == 1 ? 0 : 4;
        }) == 0);
}

}  // namespace
}  // namespace siprof::shim
