// SPDX-License-Identifier: Apache-2.0
#include "collector-client/attach/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "collector-client/base/file_io.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {
namespace {

std::string unique_name() {
  return "siprof-test-" + std::to_string(getpid()) + "-listener";
}

// A socket of another program, bound to `path`.
UniqueFd bind_socket(const std::string& path, int type, bool listening) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  memcpy(where.sun_path, path.data(), path.size());
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0);
  if (listening) REQUIRE(listen(fd.get(), 1) == 0);
  return fd;
}

TEST_CASE("a process reaches a listener by either address, and its user is known") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  const auto listener = Listener::open(unique_name(), path, 0600);
  REQUIRE(listener.ok());
  REQUIRE(listener->sockets().size() == 2);
  const std::string addresses[] = {"@" + unique_name(), path};
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK_FALSE(Listener::accept(listener->sockets()[i].get()));
    const auto fd = connect_to_agent(addresses[i]);
    REQUIRE(fd.ok());
    const auto connection = Listener::accept(listener->sockets()[i].get());
    REQUIRE(connection);
    CHECK(connection->peer.uid == geteuid());
    CHECK(connection->peer.pid == getpid());
  }
}

TEST_CASE("the path has the mode asked for") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  const mode_t mode = GENERATE(0600, 0666, 0660);
  const auto listener = Listener::open("", path, mode);
  REQUIRE(listener.ok());
  struct stat file {};
  REQUIRE(stat(path.c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == mode);
}

TEST_CASE("where an agent lives a second one doesn't start") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  const auto first = Listener::open(unique_name(), path, 0600);
  REQUIRE(first.ok());
  CHECK(absl::IsAlreadyExists(Listener::open(unique_name(), "", 0600).status()));
  CHECK(absl::IsAlreadyExists(Listener::open("", path, 0600).status()));
  CHECK(connect_to_agent(path).ok());
}

TEST_CASE("a path that a killed agent left behind is taken over") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  bind_socket(path, SOCK_SEQPACKET, /*listening=*/true).reset();
  REQUIRE(std::filesystem::exists(path));
  CHECK_FALSE(connect_to_agent(path).ok());
  const auto listener = Listener::open("", path, 0600);
  REQUIRE(listener.ok());
  CHECK(connect_to_agent(path).ok());
}

TEST_CASE("a file that isn't a socket is never removed") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/notes.txt";
  std::ofstream(path) << "precious";
  CHECK_FALSE(Listener::open("", path, 0600).ok());
  const auto text = read_file(path, 100);
  REQUIRE(text.ok());
  CHECK(*text == "precious");
}

TEST_CASE("another program's socket is never removed while it lives") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/other.sock";
  const UniqueFd other = bind_socket(path, GENERATE(SOCK_STREAM, SOCK_DGRAM), /*listening=*/false);
  CHECK_FALSE(Listener::open("", path, 0600).ok());
  struct stat file {};
  CHECK(stat(path.c_str(), &file) == 0);
}

TEST_CASE("a listener removes its path at its end, but not a successor's") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  {
    auto listener = Listener::open("", path, 0600);
    REQUIRE(listener.ok());
    const Listener moved = *std::move(listener);
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  auto first = std::make_unique<absl::StatusOr<Listener>>(Listener::open("", path, 0600));
  REQUIRE(first->ok());
  std::filesystem::rename(path, path + ".old");  // so that its inode isn't used again
  const auto second = Listener::open("", path, 0600);
  REQUIRE(second.ok());
  first.reset();
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("a path that can't be made is no reason to give up the abstract name, alone it is") {
  const std::string nowhere = "/proc/no/such/folder/agent.sock";
  const auto listener = Listener::open(unique_name(), nowhere, 0600);
  REQUIRE(listener.ok());
  CHECK(listener->path().empty());
  CHECK_FALSE(Listener::open("", nowhere, 0600).ok());
  CHECK(absl::IsInvalidArgument(Listener::open("", "/tmp/" + std::string(200, 'x'), 0600).status()));
  CHECK(absl::IsInvalidArgument(Listener::open("", "", 0600).status()));
}

TEST_CASE("a status request is answered in as many parts as it takes") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  const auto listener = Listener::open("", path, 0600);
  REQUIRE(listener.ok());
  const int listening = listener->sockets()[0].get();
  std::string received;
  std::thread agent([&] {
    std::optional<Connection> connection;
    while (!connection) connection = Listener::accept(listening);
    absl::StatusOr<RawMessage> message = receive_message(connection->fd.get());
    while (!message.ok()) message = receive_message(connection->fd.get());
    received.assign(reinterpret_cast<const char*>(message->bytes.data()), message->bytes.size());
    for (const char* part : {"one ", "two"}) {
      CHECK(send(connection->fd.get(), part, strlen(part), 0) > 0);
    }
  });
  const auto text = ask_status(path);
  agent.join();
  REQUIRE(text.ok());
  CHECK(*text == "one two");
  StatusRequest request{};
  REQUIRE(received.size() == sizeof(request));
  memcpy(&request, received.data(), sizeof(request));
  CHECK(request.magic == kStatusMagic);
  CHECK(absl::IsUnavailable(ask_status(path + ".nobody").status()));
}

TEST_CASE("after the doors are closed those inside are served, and the place is free for another") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  auto listener = Listener::open(unique_name(), path, 0600);
  REQUIRE(listener.ok());
  const auto inside = connect_to_agent(path);
  REQUIRE(inside.ok());
  listener->refuse_newcomers();
  CHECK_FALSE(connect_to_agent(path).ok());
  int accepted = 0;
  for (const UniqueFd& socket : listener->sockets()) accepted += Listener::accept(socket.get()).has_value();
  CHECK(accepted == 1);
  *listener = Listener();
  CHECK(Listener::open("", path, 0600).ok());
}

// A stopped one, say. What waits for it must not wait for ever.
TEST_CASE("an agent that accepts nobody holds up whoever connects for some seconds at most") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/agent.sock";
  const auto listener = Listener::open("", path, 0600);
  REQUIRE(listener.ok());
  REQUIRE(listen(listener->sockets()[0].get(), 0) == 0);  // a backlog that is full with one
  const auto first = connect_to_agent(path);
  REQUIRE(first.ok());
  const absl::Time start = absl::Now();
  CHECK_FALSE(connect_to_agent(path).ok());
  CHECK(absl::Now() - start < absl::Seconds(8));
}

}  // namespace
}  // namespace siprof::client
