// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/replies.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "proto/siprof/handshake.h"

namespace siprof::client {
namespace {

// Readers take messages of kMaxAttachBytes. Small ones wait less often for room in the socket.
constexpr std::size_t kMessageBytes = 32 * 1024;
static_assert(kMessageBytes <= kMaxAttachBytes);

}  // namespace

void Replies::add(UniqueFd socket, std::string text, absl::Time now) {
  if (replies_.size() >= kMost) return;
  replies_.push_back({std::move(socket), std::move(text), 0, now + kPatience});
  send_some(now);
}

bool Replies::is_done(Reply& reply, absl::Time now) {
  while (reply.sent < reply.text.size()) {
    const std::size_t bytes = std::min(reply.text.size() - reply.sent, kMessageBytes);
    const ssize_t sent =
        send(reply.socket.get(), reply.text.data() + reply.sent, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) return now > reply.until;
    if (sent < 0) return true;  // it didn't wait for us
    reply.sent += static_cast<std::size_t>(sent);
  }
  return true;
}

void Replies::send_some(absl::Time now) {
  std::erase_if(replies_, [now](Reply& reply) { return is_done(reply, now); });
}

void Replies::add_to(std::vector<pollfd>* fds) const {
  for (const Reply& reply : replies_) fds->push_back({reply.socket.get(), POLLOUT, 0});
}

}  // namespace siprof::client
