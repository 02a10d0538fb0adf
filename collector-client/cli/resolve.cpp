// SPDX-License-Identifier: Apache-2.0
// One blocking look-up with c-ares.
#include "collector-client/cli/resolve.h"

#include <ares.h>
#include <sys/select.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace siprof::client {
namespace {

struct Answer {
  bool done = false;
  int status = ARES_SUCCESS;
  std::vector<SocketAddress> addresses;
};

void on_answer(void* into, int status, int, ares_addrinfo* info) {
  Answer& answer = *static_cast<Answer*>(into);
  answer.done = true;
  answer.status = status;
  if (info == nullptr) return;
  for (const ares_addrinfo_node* node = info->nodes; node != nullptr; node = node->ai_next) {
    SocketAddress address;
    address.length = static_cast<socklen_t>(node->ai_addrlen);
    if (node->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, node->ai_addr, node->ai_addrlen);
    answer.addresses.push_back(address);
  }
  ares_freeaddrinfo(info);
}

void wait_for(ares_channel channel, const Answer& answer, absl::Time deadline) {
  while (!answer.done && absl::Now() < deadline) {
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    const int fds = ares_fds(channel, &readable, &writable);
    timeval most = absl::ToTimeval(std::min(deadline - absl::Now(), absl::Seconds(1)));
    timeval buffer{};
    ::select(fds, &readable, &writable, nullptr, ares_timeout(channel, &most, &buffer));
    ares_process(channel, &readable, &writable);
  }
}

}  // namespace

absl::StatusOr<std::vector<SocketAddress>> resolve(const std::string& host, std::uint16_t port,
                                                   absl::Time deadline) {
  ares_channel channel = nullptr;
  if (ares_init(&channel) != ARES_SUCCESS) return absl::UnavailableError("the resolver cannot be started");
  Answer answer;
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  ares_getaddrinfo(channel, host.c_str(), absl::StrCat(port).c_str(), &hints, on_answer, &answer);
  wait_for(channel, answer, deadline);
  ares_destroy(channel);  // calls on_answer if it is still open
  if (answer.addresses.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no address is known for ", host, ": ", ares_strerror(answer.status)));
  }
  return answer.addresses;
}

}  // namespace siprof::client
