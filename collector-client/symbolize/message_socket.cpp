// SPDX-License-Identifier: Apache-2.0
// See message_socket.h.
#include "collector-client/symbolize/message_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMaxFiles = 3;

absl::Status wait_for(int socket, short events, absl::Time deadline) {
  while (true) {
    int timeout_ms = -1;
    if (deadline != absl::InfiniteFuture()) {
      const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
      timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
    }
    pollfd waiting{.fd = socket, .events = events, .revents = 0};
    const int ready = poll(&waiting, 1, timeout_ms);
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("the symbol worker takes too long");
    if (errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
  }
}

void take_files(msghdr& header, std::vector<UniqueFd>& files) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      files.emplace_back(fd);
    }
  }
}

absl::Status receive_bytes(int socket, char* to, std::size_t size, std::vector<UniqueFd>& files,
                           absl::Time deadline) {
  while (size > 0) {
    const absl::Status ready = wait_for(socket, POLLIN, deadline);
    if (!ready.ok()) return ready;
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))];
    iovec part{.iov_base = to, .iov_len = size};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t count = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return absl::UnavailableError("the other end of the symbol worker's socket is gone");
    take_files(header, files);
    to += count;
    size -= static_cast<std::size_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status send_message(int socket, std::string_view bytes, const std::vector<int>& files,
                          absl::Time deadline) {
  std::string out(sizeof(std::uint64_t), '\0');
  const std::uint64_t size = bytes.size();
  std::memcpy(out.data(), &size, sizeof size);
  out.append(bytes);
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))] = {};
  std::string_view rest = out;
  while (!rest.empty()) {
    const absl::Status ready = wait_for(socket, POLLOUT, deadline);
    if (!ready.ok()) return ready;
    iovec part{.iov_base = const_cast<char*>(rest.data()), .iov_len = rest.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (rest.size() == out.size() && !files.empty()) {
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), files.data(), files.size() * sizeof(int));
    }
    const ssize_t count = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return absl::UnavailableError("the other end of the symbol worker's socket is gone");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return absl::OkStatus();
}

absl::StatusOr<Message> receive_message(int socket, absl::Time deadline) {
  Message message;
  std::uint64_t size = 0;
  absl::Status status =
      receive_bytes(socket, reinterpret_cast<char*>(&size), sizeof size, message.files, deadline);
  if (!status.ok()) return status;
  if (size > kMaxMessageBytes) return absl::DataLossError("the symbol worker's message is too long");
  message.bytes.resize(size);
  status = receive_bytes(socket, message.bytes.data(), size, message.files, deadline);
  if (!status.ok()) return status;
  return message;
}

}  // namespace siprof::client
