// SPDX-License-Identifier: Apache-2.0
// The view on this very process, on a child that ends, and on descriptors that lie.
#include "collector-client/attach/process_view.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "test/unit/collector-client/attach/attach_message.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {
namespace {

AttachRequest request_for(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  AttachRequest request;
  request.message = attach_header(0);
  request.message.pid = pid;
  request.message.maps_are_live = 1;
  request.pid.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  request.proc.reset(open(proc.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  request.root.reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  request.maps.reset(open((proc + "/maps").c_str(), O_RDONLY | O_CLOEXEC));
  return request;
}

pid_t sleeping_child() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  return child;
}

void end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST_CASE("the view on this process tells its mappings, threads and time") {
  const ProcessView view(request_for(getpid()));
  CHECK(view.is_alive());
  CHECK(view.maps_are_live());
  const std::string maps = view.read_maps();
  CHECK(maps.find("client_attach_test") != std::string::npos);
  CHECK(maps.find("[stack]") != std::string::npos);
  CHECK(view.read_maps().substr(0, 60) == maps.substr(0, 60));  // from its start, each time
  CHECK(view.thread_name(static_cast<std::uint32_t>(getpid())) == "client_attach_t");
  CHECK(view.thread_name(1u << 30).empty());
  CHECK(view.has_thread(static_cast<std::uint32_t>(getpid())) == true);
  CHECK(view.has_thread(1u << 30) == false);
  CHECK_FALSE(view.facts().cgroup.empty());
  CHECK_FALSE(view.facts().host_name.empty());

  const std::uint64_t before = view.cpu_time_ns().value();
  timespec start{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
  timespec now = start;
  while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1'000'000 < 60) {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  }
  const std::uint64_t used = view.cpu_time_ns().value() - before;
  CHECK(used >= 40'000'000);
  CHECK(used <= 200'000'000);
}

TEST_CASE("the end of a process is seen, with its pidfd and without") {
  const pid_t child = sleeping_child();
  AttachRequest without = request_for(child);
  without.pid.reset();
  const ProcessView with_pidfd(request_for(child));
  const ProcessView without_pidfd(std::move(without));
  CHECK(with_pidfd.is_alive());
  CHECK(without_pidfd.is_alive());
  end(child);
  CHECK_FALSE(with_pidfd.is_alive());
  CHECK_FALSE(without_pidfd.is_alive());
  CHECK(with_pidfd.read_maps().empty());
  CHECK(with_pidfd.thread_name(static_cast<std::uint32_t>(child)).empty());
  CHECK_FALSE(with_pidfd.has_thread(static_cast<std::uint32_t>(child)).has_value());
  CHECK_FALSE(with_pidfd.cpu_time_ns());
}

// Its directory in /proc is there until it is reaped.
TEST_CASE("a process that isn't reaped has ended, one whose main thread has left lives on") {
  const bool with_pid_fd = GENERATE(true, false);
  const auto view_of = [&](pid_t pid) {
    AttachRequest request = request_for(pid);
    if (!with_pid_fd) request.pid.reset();
    return ProcessView(std::move(request));
  };
  const auto is_zombie = [](pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    return text.find(") Z ") != std::string::npos;
  };
  const pid_t headless = fork();
  if (headless == 0) {
    pthread_t thread;
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
          for (;;) pause();
        },
        nullptr);
    syscall(SYS_exit, 0);
  }
  const pid_t dead = sleeping_child();
  const ProcessView of_headless = view_of(headless);
  const ProcessView of_dead = view_of(dead);
  kill(dead, SIGKILL);
  for (int i = 0; i < 1000 && !(is_zombie(headless) && is_zombie(dead)); ++i) usleep(10'000);
  REQUIRE((is_zombie(headless) && is_zombie(dead)));
  CHECK(of_headless.is_alive());
  // Other threads than its first, a sanitizer's, may be on their way out still.
  for (int i = 0; i < 1000 && of_dead.is_alive(); ++i) usleep(10'000);
  CHECK_FALSE(of_dead.is_alive());
  end(dead);
  end(headless);
  CHECK_FALSE(of_headless.is_alive());
}

// It would never become readable: the agent would wait for that process's end for ever.
TEST_CASE("what is no pidfd isn't asked for a process's end") {
  const pid_t child = sleeping_child();
  AttachRequest request = request_for(child);
  request.pid.reset(eventfd(0, EFD_CLOEXEC));
  const ProcessView view(std::move(request));
  CHECK(view.pid_fd() == -1);
  CHECK(view.is_alive());
  end(child);
  CHECK_FALSE(view.is_alive());
}

TEST_CASE("two views are the same process by more than its number") {
  const pid_t child = sleeping_child();
  const ProcessView own(request_for(getpid()));
  const ProcessView own_again(request_for(getpid()));
  AttachRequest lying = request_for(child);
  lying.message.pid = getpid();
  const ProcessView other(std::move(lying));
  CHECK(own.same_process(own_again));
  CHECK_FALSE(own.same_process(other));
  end(child);
}

TEST_CASE("files are opened below the process's root, and its links don't lead out of it") {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/library.so") << "inside";
  REQUIRE(symlink("/library.so", (folder.path() + "/absolute").c_str()) == 0);
  REQUIRE(symlink("../../../../../../etc/passwd", (folder.path() + "/escape").c_str()) == 0);
  REQUIRE(mkfifo((folder.path() + "/fifo").c_str(), 0600) == 0);
  AttachRequest request = request_for(getpid());
  request.root.reset(open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const ProcessView view(std::move(request));
  for (const char* path : {"/library.so", "/absolute"}) {
    const auto fd = view.opener()->open(path, 0, 0);
    REQUIRE(fd.ok());
    const UniqueFd file(*fd);
    char text[16] = {};
    CHECK(read(file.get(), text, sizeof(text)) == 6);
    CHECK(std::string(text) == "inside");
  }
  CHECK_FALSE(view.opener()->open("/escape", 0, 0).ok());
  CHECK_FALSE(view.opener()->open("/fifo", 0, 0).ok());
  CHECK_FALSE(view.opener()->open("/", 0, 0).ok());
}

TEST_CASE("a copy of the mappings in a memfd is read, and isn't live") {
  AttachRequest request = request_for(getpid());
  request.message.maps_are_live = 0;
  request.maps.reset(memfd_create("maps", MFD_CLOEXEC));
  REQUIRE(write(request.maps.get(), "a copy", 6) == 6);
  const ProcessView view(std::move(request));
  CHECK(view.read_maps() == "a copy");
  CHECK_FALSE(view.maps_are_live());
}

// Reading from these would wait for ever, and with it every other process's agent.
TEST_CASE("descriptors that aren't what they claim to be don't stop the agent") {
  const TemporaryFolder folder;
  REQUIRE(mkdir((folder.path() + "/task").c_str(), 0700) == 0);
  for (const char* name : {"/stat", "/cgroup"}) REQUIRE(mkfifo((folder.path() + name).c_str(), 0600) == 0);
  AttachRequest request = request_for(getpid());
  request.maps.reset(eventfd(0, EFD_CLOEXEC));
  request.proc.reset(open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const pid_t child = fork();
  if (child == 0) {
    const ProcessView view(std::move(request));
    _exit(view.read_maps().empty() && !view.cpu_time_ns() && view.facts().cgroup.empty() ? 0 : 1);
  }
  const UniqueFd ended(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  pollfd waiting{ended.get(), POLLIN, 0};
  const bool in_time = poll(&waiting, 1, 10'000) == 1;
  if (!in_time) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(in_time);
  CHECK(status == 0);
}

}  // namespace
}  // namespace siprof::client
