// SPDX-License-Identifier: Apache-2.0
#include "collector-client/attach/attach_request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <string_view>

#include "collector-client/base/file_io.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMaxDescriptors = 8;

std::vector<std::string> split_at_nul(std::string_view block) {
  std::vector<std::string> out;
  while (!block.empty()) {
    const std::size_t end = block.find('\0');
    if (end == std::string_view::npos) break;  // the last one isn't terminated: not ours
    out.emplace_back(block.substr(0, end));
    block.remove_prefix(end + 1);
  }
  return out;
}

// Hands out descriptors in the order of the bits.
absl::Status take_descriptors(RawMessage& raw, AttachRequest& request) {
  struct Place {
    AttachDescriptor bit;
    UniqueFd* fd;
  };
  const Place places[] = {{kMemoryFd, &request.memory},
                          {kPidFd, &request.pid},
                          {kProcFd, &request.proc},
                          {kRootFd, &request.root},
                          {kMapsFd, &request.maps}};
  std::size_t next = 0;
  for (const Place& place : places) {
    if ((request.message.descriptors & place.bit) == 0) continue;
    if (next >= raw.descriptors.size()) {
      return absl::InvalidArgumentError(
          "attach message without all of its descriptors (limit on open files?)");
    }
    *place.fd = std::move(raw.descriptors[next++]);
  }
  if (!request.memory) return absl::InvalidArgumentError("attach message without shared memory");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AttachRequest> parse_attach(RawMessage raw) {
  AttachRequest request;
  if (raw.bytes.size() < sizeof(AttachMessage))
    return absl::InvalidArgumentError("attach message is too short");
  memcpy(&request.message, raw.bytes.data(), sizeof(AttachMessage));
  const AttachMessage& message = request.message;
  if (message.magic != kAttachMagic) return absl::InvalidArgumentError("not an attach message");
  if (message.version != kHandshakeVersion) {
    return absl::InvalidArgumentError(
        "attach message of another version: use libsiprof.so and siprof of one release");
  }
  const std::uint64_t texts =
      std::uint64_t{message.exe_bytes} + message.argv_bytes + message.environment_bytes + message.maps_bytes;
  if (texts != raw.bytes.size() - sizeof(AttachMessage)) {
    return absl::InvalidArgumentError("attach message whose lengths don't add up");
  }
  const auto* at = reinterpret_cast<const char*>(raw.bytes.data()) + sizeof(AttachMessage);
  const std::vector<std::string> exe = split_at_nul({at, message.exe_bytes});
  if (!exe.empty()) request.executable = exe[0];
  request.arguments = split_at_nul({at + message.exe_bytes, message.argv_bytes});
  request.environment =
      parse_environment({at + message.exe_bytes + message.argv_bytes, message.environment_bytes});
  request.first_maps.assign(at + message.exe_bytes + message.argv_bytes + message.environment_bytes,
                            message.maps_bytes);
  if (absl::Status status = take_descriptors(raw, request); !status.ok()) return status;
  return request;
}

absl::StatusOr<RawMessage> receive_message(int socket_fd) {
  RawMessage out;
  out.bytes.resize(kMaxAttachBytes);
  iovec part{out.bytes.data(), out.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t got = recvmsg(socket_fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0) return system_error(errno, "cannot receive from", "the agent's socket");
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      out.descriptors.emplace_back(fd);
    }
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) return absl::InvalidArgumentError("attach message is too long");
  out.bytes.resize(static_cast<std::size_t>(got));
  return out;
}

absl::Status send_message(int socket_fd, const RawMessage& message) {
  iovec part{const_cast<std::byte*>(message.bytes.data()), message.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!message.descriptors.empty()) {
    const std::size_t bytes = sizeof(int) * message.descriptors.size();
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(bytes);
    for (std::size_t i = 0; i < message.descriptors.size(); ++i) {
      const int fd = message.descriptors[i].get();
      memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  if (sendmsg(socket_fd, &header, MSG_NOSIGNAL) < 0)
    return system_error(errno, "cannot send to", "the agent's socket");
  return absl::OkStatus();
}

}  // namespace siprof::client
