// SPDX-License-Identifier: Apache-2.0
#include "collector-client/attach/listener.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

constexpr int kBacklog = 512;
constexpr int kStatusWaitMs = 3000;
constexpr int kSendWaitSeconds = 3;

absl::StatusOr<socklen_t> fill_address(const std::string& address, sockaddr_un* out) {
  *out = {};
  out->sun_family = AF_UNIX;
  const bool abstract = address.starts_with("@");
  if (address.size() + (abstract ? 0 : 1) > sizeof(out->sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket name ", address, " is longer than 107 bytes: write a shorter one"));
  }
  memcpy(out->sun_path, address.data(), address.size());
  if (abstract) out->sun_path[0] = '\0';
  return abstract ? static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size())
                  : sizeof(sockaddr_un);
}

// A socket whose listener was killed. Nothing else at that path is ours to remove: not a
// file of the user's, not a socket of another kind or that refuses us, which may live.
bool is_left_behind(const std::string& path, const sockaddr_un& where, socklen_t bytes) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  const UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), bytes) != 0 &&
         errno == ECONNREFUSED;
}

absl::StatusOr<UniqueFd> bind_and_listen(const std::string& address, mode_t mode) {
  sockaddr_un where{};
  absl::StatusOr<socklen_t> bytes = fill_address(address, &where);
  if (!bytes.ok()) return bytes.status();
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error(errno, "cannot make a socket for", address);
  const bool is_path = !address.starts_with("@");
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&where), *bytes) != 0) {
    if (errno != EADDRINUSE) return system_error(errno, "cannot listen at", address);
    if (!is_path || !is_left_behind(address, where, *bytes)) {
      return absl::AlreadyExistsError(
          absl::StrCat(address, " is in use, by an agent or something else: write another path"));
    }
    unlink(address.c_str());
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&where), *bytes) != 0) {
      return system_error(errno, "cannot listen at", address);
    }
  }
  if (is_path && chmod(address.c_str(), mode) != 0)
    return system_error(errno, "cannot set the mode of", address);
  if (listen(fd.get(), kBacklog) != 0) return system_error(errno, "cannot listen at", address);
  return fd;
}

}  // namespace

absl::StatusOr<Listener> Listener::open(const std::string& abstract_name, const std::string& path,
                                        mode_t mode) {
  Listener listener;
  if (!abstract_name.empty()) {
    absl::StatusOr<UniqueFd> fd = bind_and_listen("@" + abstract_name, mode);
    if (!fd.ok()) return fd.status();
    listener.sockets_.push_back(*std::move(fd));
  }
  if (!path.empty()) {
    absl::StatusOr<UniqueFd> fd = bind_and_listen(path, mode);
    if (fd.ok()) {
      listener.sockets_.push_back(*std::move(fd));
      struct stat made {};
      if (!path.starts_with("@") && stat(path.c_str(), &made) == 0) {
        listener.path_ = path;
        listener.path_device_ = made.st_dev;
        listener.path_inode_ = made.st_ino;
      }
    } else if (listener.sockets_.empty()) {
      return fd.status();  // else the abstract one serves: a read-only home is no reason to give up
    }
  }
  if (listener.sockets_.empty())
    return absl::InvalidArgumentError("no socket to listen at: write --agent-socket PATH");
  return listener;
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this == &other) return *this;
  remove_path();
  sockets_ = std::move(other.sockets_);
  path_ = std::move(other.path_);
  other.path_.clear();
  path_device_ = other.path_device_;
  path_inode_ = other.path_inode_;
  return *this;
}

Listener::~Listener() {
  remove_path();
}

void Listener::refuse_newcomers() {
  for (const UniqueFd& socket : sockets_) shutdown(socket.get(), SHUT_RD);
}

void Listener::remove_path() {
  struct stat now {};
  if (path_.empty() || stat(path_.c_str(), &now) != 0) return;
  if (now.st_dev == path_device_ && now.st_ino == path_inode_) unlink(path_.c_str());
}

std::optional<Connection> Listener::accept(int socket_fd) {
  Connection connection;
  connection.fd.reset(accept4(socket_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.fd) return std::nullopt;
  ucred credentials{};
  socklen_t bytes = sizeof(credentials);
  if (getsockopt(connection.fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
    return std::nullopt;
  connection.peer = {credentials.uid, credentials.pid};
  return connection;
}

absl::StatusOr<UniqueFd> connect_to_agent(const std::string& address) {
  sockaddr_un where{};
  absl::StatusOr<socklen_t> bytes = fill_address(address, &where);
  if (!bytes.ok()) return bytes.status();
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return system_error(errno, "cannot make a socket for", address);
  const timeval patience{kSendWaitSeconds, 0};  // of connect too, where an agent accepts nobody
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&where), *bytes) != 0) {
    return absl::UnavailableError(absl::StrCat("no agent listens at ", address, ": ", strerror(errno)));
  }
  return fd;
}

bool has_hung_up(int socket) {
  pollfd peer{socket, POLLRDHUP, 0};
  return poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

absl::StatusOr<std::string> ask_status(const std::string& address) {
  absl::StatusOr<UniqueFd> fd = connect_to_agent(address);
  if (!fd.ok()) return fd.status();
  const StatusRequest request{kStatusMagic, kHandshakeVersion};
  if (send(fd->get(), &request, sizeof(request), MSG_NOSIGNAL) < 0)
    return system_error(errno, "cannot ask", address);
  std::string text;
  for (;;) {
    pollfd waiting{fd->get(), POLLIN, 0};
    if (poll(&waiting, 1, kStatusWaitMs) <= 0)
      return absl::UnavailableError(absl::StrCat("the agent at ", address, " doesn't answer"));
    char part[kMaxAttachBytes];
    const ssize_t got = recv(fd->get(), part, sizeof(part), 0);
    if (got < 0) return system_error(errno, "cannot hear", address);
    if (got == 0 && text.empty())
      return absl::UnavailableError(absl::StrCat(
          "the agent at ", address, " doesn't answer: it has too much to do, or is another user's"));
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
  }
}

}  // namespace siprof::client
