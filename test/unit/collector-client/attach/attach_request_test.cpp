// SPDX-License-Identifier: Apache-2.0
#include "collector-client/attach/attach_request.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "test/unit/collector-client/attach/attach_message.h"

namespace siprof::client {
namespace {

std::vector<UniqueFd> some_fds(std::size_t count) {
  std::vector<UniqueFd> fds;
  for (std::size_t i = 0; i < count; ++i) fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return fds;
}

std::pair<UniqueFd, UniqueFd> socket_pair() {
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

AttachMessage& header_of(RawMessage& raw) {
  return *reinterpret_cast<AttachMessage*>(raw.bytes.data());
}

void check_refused(RawMessage raw, std::string_view word) {
  const absl::Status status = parse_attach(std::move(raw)).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(std::string(status.message()).find(word) != std::string::npos);
}

TEST_CASE("a message is taken apart into texts and descriptors in the order of their bits") {
  std::vector<UniqueFd> fds = some_fds(5);
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  const auto request = parse_attach(
      raw_message(attach_header(kMemoryFd | kPidFd | kProcFd | kRootFd | kMapsFd), std::move(fds)));
  REQUIRE(request.ok());
  CHECK(request->executable == "/bin/app");
  CHECK(request->arguments == std::vector<std::string>{"app", "-x"});
  CHECK(request->environment == Environment{{"HOME", "/srv"}, {"SIPROF_SERVICE", "shop"}});
  CHECK(request->first_maps == "1000-2000 r-xp 00000000 fe:01 77 /bin/app\n");
  CHECK(request->message.rates.hz == 100);
  CHECK(request->memory.get() == numbers[0]);
  CHECK(request->pid.get() == numbers[1]);
  CHECK(request->proc.get() == numbers[2]);
  CHECK(request->root.get() == numbers[3]);
  CHECK(request->maps.get() == numbers[4]);
}

TEST_CASE("descriptors that a process couldn't open may be missing, the memory may not") {
  std::vector<UniqueFd> fds = some_fds(2);
  const int maps = fds[1].get();
  const auto request = parse_attach(raw_message(attach_header(kMemoryFd | kMapsFd), std::move(fds)));
  REQUIRE(request.ok());
  CHECK(request->maps.get() == maps);
  CHECK_FALSE(request->pid);
  check_refused(raw_message(attach_header(kPidFd), some_fds(1)), "without shared memory");
  check_refused(raw_message(attach_header(0), {}), "without shared memory");
}

TEST_CASE("a message that promises more descriptors than came is refused") {
  check_refused(raw_message(attach_header(kMemoryFd | kPidFd), some_fds(1)),
                "without all of its descriptors");
}

TEST_CASE("descriptors beyond those promised are closed") {
  std::vector<UniqueFd> fds = some_fds(3);
  const int extra = fds[2].get();
  REQUIRE(parse_attach(raw_message(attach_header(kMemoryFd), std::move(fds))).ok());
  CHECK(fcntl(extra, F_GETFD) == -1);
}

TEST_CASE("lengths that don't add up are refused, also where their sum overflows") {
  RawMessage raw = raw_message(attach_header(kMemoryFd), some_fds(1));
  SECTION("one byte missing") {
    raw.bytes.pop_back();
  }
  SECTION("one byte too many") {
    raw.bytes.push_back(std::byte{0});
  }
  SECTION("a length that is too long") {
    header_of(raw).argv_bytes += 1;
  }
  SECTION("lengths whose 32-bit sum is right") {
    header_of(raw).exe_bytes += 0x80000000;
    header_of(raw).environment_bytes += 0x80000000;
  }
  check_refused(std::move(raw), "lengths");
}

TEST_CASE("what is too short, no attach message, or of another version is refused") {
  RawMessage raw = raw_message(attach_header(kMemoryFd), some_fds(1));
  SECTION("short") {
    raw.bytes.resize(sizeof(AttachMessage) - 1);
    check_refused(std::move(raw), "too short");
  }
  SECTION("empty") {
    check_refused(RawMessage{}, "too short");
  }
  SECTION("something else") {
    header_of(raw).magic = kStatusMagic;
    check_refused(std::move(raw), "not an attach message");
  }
  SECTION("another version") {
    header_of(raw).version = kHandshakeVersion + 1;
    check_refused(std::move(raw), "one release");
  }
}

TEST_CASE("texts that aren't terminated are not read beyond their end") {
  MessageTexts texts;
  texts.executable = "/bin/app";
  texts.arguments = {"a\0b", 3};
  texts.environment = {"A=1\0B", 5};
  const auto request = parse_attach(raw_message(attach_header(kMemoryFd), some_fds(1), texts));
  REQUIRE(request.ok());
  CHECK(request->executable.empty());
  CHECK(request->arguments == std::vector<std::string>{"a"});
  CHECK(request->environment.contains("A"));
}

TEST_CASE("a message arrives over a socket with its descriptors, closed on exec") {
  auto [here, there] = socket_pair();
  REQUIRE(send_message(here.get(), raw_message(attach_header(kMemoryFd | kPidFd), some_fds(2))).ok());
  auto raw = receive_message(there.get());
  REQUIRE(raw.ok());
  REQUIRE(raw->descriptors.size() == 2);
  for (const UniqueFd& fd : raw->descriptors) CHECK(fcntl(fd.get(), F_GETFD) == FD_CLOEXEC);
  CHECK(parse_attach(*std::move(raw)).ok());
}

TEST_CASE("nothing there yet is not the end of the stream") {
  auto [here, there] = socket_pair();
  CHECK(absl::IsUnavailable(receive_message(there.get()).status()));
  here.reset();
  const auto end = receive_message(there.get());
  REQUIRE(end.ok());
  CHECK(end->bytes.empty());
}

TEST_CASE("a message longer than allowed is refused and its descriptors are closed") {
  auto [here, there] = socket_pair();
  RawMessage raw = raw_message(attach_header(kMemoryFd), some_fds(1));
  raw.bytes.resize(kMaxAttachBytes + 1);
  REQUIRE(send_message(here.get(), raw).ok());
  const int next_fd = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get();
  CHECK(absl::IsInvalidArgument(receive_message(there.get()).status()));
  CHECK(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get() == next_fd);
}

}  // namespace
}  // namespace siprof::client
