// SPDX-License-Identifier: Apache-2.0
// What a process is told of its interpreter, and what becomes of its samples.
#include "collector-client/agent/process_python.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "absl/strings/str_format.h"
#include "collector-client/agent/waiting_samples.h"
#include "collector-client/python/layouts.h"
#include "collector-client/symbolize/dynamic_symbols.h"
#include "test/unit/collector-client/symbolize/fixtures.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMark = 0x77;

// What maps says of the file's code, as the loader puts it at `base`.
std::string maps_line(const std::string& path, std::uint64_t base) {
  struct stat file {};
  REQUIRE(stat(path.c_str(), &file) == 0);
  const auto image = testing::open_image(path);
  for (const Segment& segment : image->segments()) {
    if (!segment.executable) continue;
    const std::uint64_t start = (base + segment.address) & ~std::uint64_t{4095};
    const std::uint64_t end = (base + segment.address + segment.memory_bytes + 4095) & ~std::uint64_t{4095};
    return absl::StrFormat("%x-%x r-xp %08x %02x:%02x %d %s\n", start, end,
                           segment.file_offset & ~std::uint64_t{4095}, major(file.st_dev), minor(file.st_dev),
                           file.st_ino, path);
  }
  FAIL(path << " has no code");
  return "";
}

struct Scene {
  UniqueFd memory{memfd_create("siprof", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  static constexpr std::size_t kBytes = kSharedHeaderBytes + kChunkBytes;
  SharedHeader* header = nullptr;
  std::unique_ptr<SharedPool> pool;
  ModuleCache cache;
  PythonModules modules;
  PythonFunctions functions;
  std::shared_ptr<FileOpener> opener = std::make_shared<testing::FolderOpener>("");
  ModuleMap map{cache, opener};
  std::unique_ptr<ProcessPython> python;

  Scene() {
    REQUIRE(ftruncate(memory.get(), kBytes) == 0);
    REQUIRE(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    header = static_cast<SharedHeader*>(
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0));
    header->magic = kSharedMemoryMagic;
    header->version = kSharedMemoryVersion;
    header->max_chunks = header->chunk_count = 1;
    pool = *SharedPool::map(memory.get());
    start(NativeFrames::kApp);
  }
  ~Scene() { munmap(header, kBytes); }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  void start(NativeFrames shown) {
    python = std::make_unique<ProcessPython>(*pool, PythonWorkshop{modules, functions}, opener, shown, 7);
  }
  void follow(const std::string& maps, std::uint32_t unmaps = 0) {
    map.update(maps);
    python->follow(map, nullptr, unmaps);
  }
  // At `base`, and in it `name`, as the process has it.
  std::uint64_t address(const std::string& file, std::uint64_t base, const char* name) const {
    const auto image = testing::open_image(testing::fixture(file));
    return base + DynamicSymbols(*image).find(name)->address;
  }
  void define(std::uint64_t mark, const std::string& name,
              const std::string& file = "/usr/lib/python3.11/queue.py") {
    PythonCodePart part{};
    part.fields.mark = mark;
    part.fields.first_line = 3;
    part.fields.version = python_version(3, 11);
    part.name = name;
    part.file = file;
    python->define(part);
  }
  std::string name_of(const CodeAddress& code) const {
    return code.is_python() ? functions.frame(code).name : "native";
  }
};

RawSample sample_of(std::initializer_list<std::uint64_t> marks, std::uint32_t flags = 0) {
  RawSample sample{};
  sample.record.head.flags = flags;
  for (const std::uint64_t mark : marks)
    sample.python.push_back(python_word(mark, 0, sample.python.size() + 1 == marks.size()));
  return sample;
}

std::string fake(const char* name) {
  return testing::fixture(name);
}

TEST_CASE("an interpreter is shown to its process, at the addresses that it has there") {
  Scene scene;
  constexpr std::uint64_t kBase = 0x7f0000000000;
  scene.follow(maps_line(fake("fake_stripped.so"), kBase), 5);
  const PythonView& view = scene.header->python;
  CHECK(view.generation == 1);
  CHECK(view.unmap_generation == 5);
  CHECK(view.layout.version == python_version(3, 11));
  CHECK(view.this_thread_state == scene.address("fake_stripped.so", kBase, "PyGILState_GetThisThreadState"));
  CHECK(view.current_state == scene.address("fake_stripped.so", kBase, "_PyThreadState_UncheckedGet"));
  CHECK(view.is_finalizing == scene.address("fake_stripped.so", kBase, "_Py_IsFinalizing"));
  CHECK(view.code_type == scene.address("fake_stripped.so", kBase, "PyCode_Type"));
  CHECK(scene.python->version() == "3.11.2");

  SECTION("unmappings alone don't change what was told") {
    scene.follow(maps_line(fake("fake_stripped.so"), kBase), 6);
    CHECK(view.generation == 1);
    CHECK(view.unmap_generation == 6);
  }
  SECTION("it is withdrawn when it goes, and shown anew when it comes elsewhere") {
    scene.follow("");
    CHECK(view.generation == 0);
    CHECK(scene.python->version() == "");
    scene.follow(maps_line(fake("fake_stripped.so"), 2 * kBase));
    CHECK(view.generation == 2);
    CHECK(view.code_type == scene.address("fake_stripped.so", 2 * kBase, "PyCode_Type"));
  }
  SECTION("a refusal is told, and counted as long as it lasts") {
    CHECK(scene.python->take_failures().empty());
    scene.header->python.refusal = static_cast<std::uint32_t>(PythonRefusal::kOtherLayout);
    scene.python->look_for_refusal();
    for (int i = 0; i < 2; ++i) CHECK(scene.python->take_failures() == Counters{{"python_refused", 1}});
    scene.header->python.refusal = 0;
    CHECK(scene.python->take_failures().empty());
  }
}

TEST_CASE("an interpreter that can't be read isn't shown, but named and counted") {
  Scene scene;
  scene.follow(maps_line(fake("fake_free.so"), 0x10000000));
  CHECK(scene.header->python.generation == 0);
  CHECK(scene.python->version() == "3.13.0");
  CHECK(scene.python->take_failures() == Counters{{"python_unsupported", 1}});
  // One that can be read beside it is.
  scene.follow(maps_line(fake("fake_free.so"), 0x10000000) + maps_line(fake("fake_311.so"), 0x20000000));
  CHECK(scene.header->python.generation == 1);
  CHECK(scene.python->version() == "3.11.2");
}

TEST_CASE("what a child has from its parent goes for what the agent sees") {
  Scene scene;
  PythonView& view = scene.header->python;
  view.generation = kInheritedPython;
  view.code_type = 7;
  SECTION("an interpreter") {
    scene.follow(maps_line(fake("fake_stripped.so"), 0x10000000));
    CHECK(view.generation == 1);
    CHECK(view.code_type == scene.address("fake_stripped.so", 0x10000000, "PyCode_Type"));
  }
  SECTION("none") {
    scene.follow("");
    CHECK(view.generation == 0);
  }
}

TEST_CASE("Python frames stand where the evaluation function did") {
  Scene scene;
  scene.follow(maps_line(fake("fake_311.so"), 0x10000000));
  scene.define(1, "Queue.get");
  scene.define(2, "work");
  const std::uint64_t evaluation = scene.address("fake_311.so", 0x10000000, "_PyEval_EvalFrameDefault") + 4;
  const std::uint64_t other = scene.address("fake_311.so", 0x10000000, "_Py_IsFinalizing");
  Stack stack = {{nullptr, 0x10}, scene.map.locate(other), scene.map.locate(evaluation)};
  CHECK(scene.python->mix(sample_of({}), StackEnd::kThreadStart, &stack) == nullptr);
  CHECK(stack.size() == 3);
  CHECK(scene.python->mix(sample_of({1, 2}), StackEnd::kThreadStart, &stack) ==
        std::string("python_aligned"));
  REQUIRE(stack.size() == 3);
  CHECK(stack[0] == CodeAddress{nullptr, 0x10});
  CHECK(scene.name_of(stack[1]) == "queue.Queue.get");
  CHECK(scene.name_of(stack[2]) == "queue.work");
  Stack two = {scene.map.locate(evaluation)};
  CHECK(scene.python->mix(sample_of({3}, kPythonCut), StackEnd::kThreadStart, &two) ==
        std::string("python_partial"));
  CHECK(scene.name_of(two[0]) == "[unknown Python function]");
  CHECK(scene.python->take_failures() == Counters{{"python_unnamed", 1}});
  // Of an interpreter that is gone.
  scene.follow("");
  Stack three = {{nullptr, 0x10}};
  CHECK(scene.python->mix(sample_of({1}), StackEnd::kThreadStart, &three) ==
        std::string("python_mismatched"));
  CHECK(three.size() == 2);
}

TEST_CASE("a frame that Python has only for itself isn't shown") {
  Scene scene;
  scene.follow(maps_line(fake("fake_311.so"), 0x10000000));
  scene.define(1, "Queue.get");
  scene.define(2, "__init__", "__init__");
  scene.define(3, "__init__");
  const std::uint64_t evaluation = scene.address("fake_311.so", 0x10000000, "_PyEval_EvalFrameDefault") + 4;
  Stack stack = {scene.map.locate(evaluation)};
  CHECK(scene.python->mix(sample_of({3, 2, 1}), StackEnd::kThreadStart, &stack) ==
        std::string("python_aligned"));
  REQUIRE(stack.size() == 2);
  CHECK(scene.name_of(stack[0]) == "queue.__init__");
  CHECK(scene.name_of(stack[1]) == "queue.Queue.get");
}

TEST_CASE("who waits for the interpreter's lock and who works without it") {
  Scene scene;
  scene.follow(maps_line(fake("fake_311.so"), 0x10000000));
  const auto image = testing::open_image(fake("fake_311.so"));
  Module module;
  module.path = fake("fake_311.so");
  module.image = image;
  const std::uint64_t wait = find_python(module)->gil_waits.at(0).end - 1 + 0x10000000;
  const std::uint64_t evaluation = scene.address("fake_311.so", 0x10000000, "_PyEval_EvalFrameDefault") + 4;
  const Stack waiting = {{nullptr, 0x10}, scene.map.locate(wait), scene.map.locate(evaluation)};
  const Stack other = {{nullptr, 0x10}, scene.map.locate(evaluation), scene.map.locate(wait)};
  CHECK(scene.python->gil_of(sample_of({}, kPythonReleased), waiting) == Gil::kAwaited);
  CHECK(scene.python->gil_of(sample_of({}, kPythonReleased), other) == Gil::kReleased);
  CHECK(scene.python->gil_of(sample_of({}), other) == Gil::kUnknown);
}

TEST_CASE("which native frames are shown is the process's own choice") {
  std::vector<std::string> warnings;
  CHECK(native_frames_of({}, NativeFrames::kNone, &warnings) == NativeFrames::kNone);
  CHECK(native_frames_of({{"SIPROF_NATIVE_FRAMES", ""}}, NativeFrames::kNone, &warnings) ==
        NativeFrames::kNone);
  CHECK(native_frames_of({{"SIPROF_NATIVE_FRAMES", "all"}}, NativeFrames::kNone, &warnings) ==
        NativeFrames::kAll);
  CHECK(warnings.empty());
  CHECK(native_frames_of({{"SIPROF_NATIVE_FRAMES", "x"}}, NativeFrames::kApp, &warnings) ==
        NativeFrames::kApp);
  CHECK(warnings == std::vector<std::string>{"SIPROF_NATIVE_FRAMES=x is not used: write app, all or none"});
  Scene scene;
  scene.start(NativeFrames::kNone);
  scene.define(1, "f");
  Stack stack = {{nullptr, 0x10}};
  scene.python->mix(sample_of({1}), StackEnd::kThreadStart, &stack);
  CHECK(stack.size() == 1);
}

TEST_CASE("a full book is told anew at the next window") {
  Scene scene;
  scene.follow(maps_line(fake("fake_311.so"), 0x10000000));
  for (std::uint64_t mark = 1; mark <= 40'000; ++mark) scene.define(mark, "f");
  CHECK_FALSE(scene.python->knows(sample_of({40'000})));
  CHECK(scene.header->python.generation == 1);
  scene.python->refresh();
  CHECK(scene.header->python.generation == 2);
  scene.python->refresh();
  CHECK(scene.header->python.generation == 2);
  scene.define(40'000, "f");
  CHECK(scene.python->knows(sample_of({1, 40'000})));
}

// Samples by the times that they are of.
struct Order {
  Scene scene;
  std::vector<std::uint64_t> seen;
  std::vector<std::size_t> frames;
  WaitingSamples waiting{*scene.python,
                         [this](const RawSample& sample, UnwoundStack& stack, const Stack& holder) {
                           seen.push_back(sample.record.head.time_ns);
                           frames.push_back(stack.frames.size() + holder.size());
                         }};
  void take(std::uint64_t time, std::initializer_list<std::uint64_t> marks) {
    RawSample sample = sample_of(marks);
    sample.record.head.time_ns = time;
    UnwoundStack stack;
    stack.frames = Stack(time);
    waiting.take(sample, stack, Stack(1));
  }
};
using Times = std::vector<std::uint64_t>;

TEST_CASE("samples wait for what their marks mean, and those behind them for their turn") {
  Order order;
  order.take(1, {});
  order.take(2, {kMark});
  order.take(3, {});
  CHECK(order.seen == Times{1});
  order.waiting.after_drain();
  CHECK(order.seen == Times{1});
  order.scene.define(kMark, "f");
  order.take(4, {kMark});
  CHECK(order.seen == Times{1});
  order.waiting.after_drain();
  CHECK(order.seen == Times{1, 2, 3, 4});
  CHECK(order.frames == std::vector<std::size_t>{2, 3, 4, 5});
  order.take(5, {kMark});
  CHECK(order.seen.back() == 5);
  CHECK(order.waiting.empty());
}

TEST_CASE("who waits too long goes without a name, and the next ones with him") {
  Order order;
  order.take(1, {kMark, 5});
  for (int i = 0; i < 3; ++i) order.waiting.after_drain();
  CHECK(order.seen.empty());
  order.waiting.after_drain();
  CHECK(order.seen == Times{1});
  order.take(2, {5});
  CHECK(order.seen == Times{1, 2});
}

TEST_CASE("at a window's end all go, and never are there too many") {
  Order order;
  order.take(1, {kMark});
  order.waiting.finish();
  CHECK(order.seen == Times{1});
  for (std::uint64_t mark = 100; mark < 3100; ++mark) order.take(mark % 8, {mark});
  CHECK(order.seen.size() > 2000);
}

}  // namespace
}  // namespace siprof::client
