// SPDX-License-Identifier: Apache-2.0
// Which mappings a sample is named by: those of the state that it saw, or what can't have changed.
#include "collector-client/agent/process_code.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "shim/core/process.h"
#include "shim/core/unmaps.h"
#include "test/unit/collector-client/attach/attach_message.h"

namespace siprof::client {
namespace {

constexpr const char* kPlugin = "libBrokenLocale.so.1";  // of the C library, and nobody links with it

class StillClock : public Clock {
 public:
  absl::Time now() const override { return absl::UnixEpoch(); }
  std::int64_t monotonic_ns() const override { return ns; }
  std::int64_t ns = 1'000'000'000'000;
};

// This process, its shared memory and what the shim says there.
struct Scene {
  UniqueFd memory{memfd_create("siprof", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  shim::Session page{};
  SharedHeader* header = nullptr;
  std::unique_ptr<SharedPool> pool;
  std::unique_ptr<ProcessView> view;
  ModuleCache modules;
  TableBuilder tables;
  StillClock clock;

  Scene() {
    constexpr std::size_t kBytes = kSharedHeaderBytes + kChunkBytes;
    REQUIRE(ftruncate(memory.get(), kBytes) == 0);
    REQUIRE(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    header = static_cast<SharedHeader*>(
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0));
    header->magic = kSharedMemoryMagic;
    header->version = kSharedMemoryVersion;
    header->max_chunks = 1;
    header->chunk_count = 1;
    page.number = 1;
    shim::g_process.session = &page;
    shim::g_process.header = header;
    shim::show_unmaps(header);
    pool = *SharedPool::map(memory.get());
    AttachRequest request;
    request.message = attach_header(0);
    request.message.maps_are_live = 1;
    request.executable = std::filesystem::read_symlink("/proc/self/exe");
    request.proc.reset(open("/proc/self/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    request.root.reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    request.maps.reset(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
    view = std::make_unique<ProcessView>(std::move(request));
  }
  ~Scene() {
    shim::g_process.session = nullptr;
    shim::g_process.header = nullptr;
    munmap(header, kSharedHeaderBytes + kChunkBytes);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
};

std::uint64_t code_of(void* library) {
  void* symbol = dlsym(library, "__ctype_get_mb_cur_max");
  REQUIRE(symbol != nullptr);
  return reinterpret_cast<std::uint64_t>(symbol);
}

bool is_named(const ModuleMap& map, std::uint64_t address) {
  return map.locate(address).module != nullptr;
}

const auto kOwn = reinterpret_cast<std::uint64_t>(&is_named);
const auto kLibc = reinterpret_cast<std::uint64_t>(dlsym(RTLD_DEFAULT, "getpid"));

TEST_CASE("samples of before and after an unmapping are named by the mappings that they saw") {
  Scene scene;
  void* library = dlopen(kPlugin, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const std::uint64_t plugin = code_of(library);
  ProcessCode code(*scene.view, *scene.pool, scene.modules, scene.tables, scene.clock);
  const std::uint32_t before = shim::unmap_generation();
  CHECK(is_named(code.at(before, plugin), plugin));

  shim::begin_unmap();
  CHECK(shim::unmap_generation() == kUnmapping);
  dlclose(library);
  shim::end_unmap();
  const std::uint32_t after = shim::unmap_generation();
  REQUIRE(after == before + 1);
  scene.clock.ns += 1'000'000'000;
  code.follow();
  CHECK(is_named(code.at(before, plugin), plugin));
  CHECK_FALSE(is_named(code.at(after, plugin), plugin));
  CHECK(is_named(code.at(after, kOwn), kOwn));

  SECTION("the state of before is forgotten when what saw it has been drained") {
    code.follow();
    CHECK_FALSE(is_named(code.at(before, plugin), plugin));
  }
}

TEST_CASE("in a state that isn't known only what the program is linked with is named") {
  Scene scene;
  void* library = dlopen(kPlugin, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const std::uint64_t plugin = code_of(library);
  ProcessCode code(*scene.view, *scene.pool, scene.modules, scene.tables, scene.clock);
  const std::uint32_t known = shim::unmap_generation();
  for (const std::uint32_t generation : {known + 1, known - 1, kUnmapping}) {
    const ModuleMap& map = code.at(generation, plugin);
    CHECK_FALSE(is_named(map, plugin));
    CHECK(is_named(map, kOwn));
    CHECK(is_named(map, kLibc));
  }
  CHECK(is_named(code.at(known, plugin), plugin));
  dlclose(library);
}

TEST_CASE("mappings that were read while code was unmapped are no state") {
  Scene scene;
  const std::uint32_t before = shim::unmap_generation();
  shim::begin_unmap();
  ProcessCode code(*scene.view, *scene.pool, scene.modules, scene.tables, scene.clock);
  shim::end_unmap();
  CHECK(&code.at(before, kOwn) != &code.map());
  scene.clock.ns += 1'000'000'000;
  CHECK(&code.at(before + 1, kOwn) == &code.map());
}

TEST_CASE("code that was added is looked for, not at every sample") {
  Scene scene;
  ProcessCode code(*scene.view, *scene.pool, scene.modules, scene.tables, scene.clock);
  const std::uint32_t generation = shim::unmap_generation();
  void* library = dlopen(kPlugin, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const std::uint64_t plugin = code_of(library);
  CHECK_FALSE(is_named(code.at(generation, plugin), plugin));
  scene.clock.ns += 10'000'000;
  CHECK(is_named(code.at(generation, plugin), plugin));
  dlclose(library);
}

}  // namespace
}  // namespace siprof::client
