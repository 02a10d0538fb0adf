// SPDX-License-Identifier: Apache-2.0
#include "collector-client/drain/shared_pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "collector-client/base/unique_fd.h"

namespace siprof::client {
namespace {

constexpr off_t bytes_of(std::uint32_t chunks) {
  return static_cast<off_t>(kSharedHeaderBytes) + static_cast<off_t>(chunks) * kChunkBytes;
}

struct Made {
  std::uint32_t chunks = 4;  // in the file
  std::uint32_t told = 4;    // by the header
  std::uint32_t max_chunks = 64;
  std::uint32_t magic = kSharedMemoryMagic;
  std::uint32_t version = kSharedMemoryVersion;
  int seals = F_SEAL_SHRINK;
};

UniqueFd make_memory(const Made& made) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(fd);
  REQUIRE(ftruncate(fd.get(), bytes_of(made.chunks)) == 0);
  SharedHeader header{};
  header.magic = made.magic;
  header.version = made.version;
  header.max_chunks = made.max_chunks;
  header.chunk_count = made.told;
  REQUIRE(pwrite(fd.get(), &header, sizeof(header), 0) == static_cast<ssize_t>(sizeof(header)));
  if (made.seals != 0) REQUIRE(fcntl(fd.get(), F_ADD_SEALS, made.seals) == 0);
  return fd;
}

// The app's side of the same memory.
class AppView {
 public:
  explicit AppView(int fd) {
    memory_ = mmap(nullptr, kSharedHeaderBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~AppView() { munmap(memory_, kSharedHeaderBytes); }
  SharedHeader* operator->() const { return static_cast<SharedHeader*>(memory_); }

 private:
  void* memory_;
};

TEST_CASE("memory that the process could take away under the agent is refused") {
  CHECK(absl::IsInvalidArgument(SharedPool::map(make_memory({.seals = 0}).get()).status()));
  CHECK(absl::IsInvalidArgument(SharedPool::map(make_memory({.seals = F_SEAL_GROW}).get()).status()));
  char path[] = "/tmp/siprof-test-XXXXXX";
  const UniqueFd file(mkstemp(path));
  unlink(path);
  REQUIRE(ftruncate(file.get(), bytes_of(4)) == 0);
  CHECK(absl::IsInvalidArgument(SharedPool::map(file.get()).status()));
  CHECK_FALSE(SharedPool::map(-1).ok());
}

TEST_CASE("memory that is short or of another version is refused") {
  CHECK(absl::IsInvalidArgument(SharedPool::map(make_memory({.chunks = 0}).get()).status()));
  CHECK(absl::IsInvalidArgument(SharedPool::map(make_memory({.told = 0}).get()).status()));
  CHECK(absl::IsInvalidArgument(SharedPool::map(make_memory({.max_chunks = 0}).get()).status()));
  CHECK(absl::IsInvalidArgument(SharedPool::map(make_memory({.magic = 1}).get()).status()));
  const absl::Status status =
      SharedPool::map(make_memory({.version = kSharedMemoryVersion + 1}).get()).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(std::string(status.message()).find("one release") != std::string::npos);
}

TEST_CASE("no more chunks are used than the file holds, the process reserves and the limit allows") {
  const auto chunks_of = [](const Made& made) {
    auto pool = SharedPool::map(make_memory(made).get());
    REQUIRE(pool.ok());
    return (*pool)->chunk_count();
  };
  CHECK(chunks_of({}) == 4);
  CHECK(chunks_of({.chunks = 4, .told = 1000}) == 4);
  CHECK(chunks_of({.chunks = 8, .told = 3}) == 3);
  CHECK(chunks_of({.chunks = 8, .told = 8, .max_chunks = 2}) == 2);
  CHECK(chunks_of({.chunks = kMaxChunks + 10, .told = ~0u, .max_chunks = ~0u}) == kMaxChunks);
}

TEST_CASE("a pool doubles up to what the process has reserved, with pages behind it") {
  const UniqueFd fd = make_memory({.chunks = 4, .told = 4, .max_chunks = 13});
  auto pool = SharedPool::map(fd.get());
  REQUIRE(pool.ok());
  const AppView app(fd.get());
  for (const std::uint32_t expected : {8u, 13u}) {
    REQUIRE((*pool)->grow());
    CHECK((*pool)->chunk_count() == expected);
    CHECK(app->chunk_count == expected);
    struct stat file {};
    REQUIRE(fstat(fd.get(), &file) == 0);
    CHECK(file.st_size == bytes_of(expected));
    CHECK(file.st_blocks * 512 >= bytes_of(expected));
  }
  CHECK_FALSE((*pool)->grow());
  CHECK(app->chunk_count == 13);
  (*pool)->chunks()[13 * kChunkBytes - 1] = std::byte{1};
}

TEST_CASE("a pool that may not grow stays as it is") {
  const UniqueFd fd = make_memory({.seals = F_SEAL_SHRINK | F_SEAL_GROW});
  auto pool = SharedPool::map(fd.get());
  REQUIRE(pool.ok());
  CHECK_FALSE((*pool)->grow());
  CHECK((*pool)->chunk_count() == 4);
}

TEST_CASE("the process reads what the agent sets, the agent what the process counts") {
  UniqueFd fd = make_memory({});
  auto pool = SharedPool::map(fd.get());
  REQUIRE(pool.ok());
  const AppView app(fd.get());
  fd.reset();  // the pool doesn't need it
  (*pool)->beat(123);
  CHECK(app->heartbeat_ns == 123);
  (*pool)->control(Rates{250, kKindCpu, 1, 1'000'000, 1});
  CHECK(app->hz == 250);
  CHECK(app->kinds == kKindCpu);
  CHECK(app->control_generation == 1);
  (*pool)->control(Rates{250, 0, 1, 1'000'000, 1});
  CHECK(app->control_generation == 2);
  (*pool)->request_refresh();
  (*pool)->request_scan();
  CHECK(app->refresh_request == 1);
  CHECK(app->scan_request == 1);
  app->counters[static_cast<std::uint32_t>(Counter::ticks)] = 77;
  CHECK((*pool)->counters()[static_cast<std::uint32_t>(Counter::ticks)] == 77);
}

}  // namespace
}  // namespace siprof::client
