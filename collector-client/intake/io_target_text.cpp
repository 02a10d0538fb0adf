// SPDX-License-Identifier: Apache-2.0
#include "collector-client/intake/io_target_text.h"

#include <arpa/inet.h>
#include <string.h>

#include <iterator>

#include "proto/siprof/io_calls.h"

namespace siprof::client {
namespace {

// In the order of IoTargetKind.
constexpr const char* kKinds[] = {"",        "file",       "folder", "pipe",    "tty",      "device",
                                  "tcp",     "tcp listen", "udp",    "unix",    "socket",   "eventfd",
                                  "timerfd", "signalfd",   "epoll",  "inotify", "anonymous"};
static_assert(std::size(kKinds) == static_cast<std::size_t>(IoTargetKind::kCount));

constexpr std::uint16_t kFirstEphemeralPort = 32768;  // Linux's default; few serve there

std::string address_of(const IoTarget& target) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(target.is_ipv6 != 0 ? AF_INET6 : AF_INET, target.peer_address, text, sizeof(text));
  return target.is_ipv6 != 0 ? "[" + std::string(text) + "]" : text;
}

// Of two ports the lower one is where somebody serves; a port that was given out for one connection is no
// name.
bool serves(std::uint16_t port, std::uint16_t other) {
  return port != 0 && port < kFirstEphemeralPort && (other == 0 || port <= other);
}

}  // namespace

std::string text_of_target(std::string_view extra) {
  IoTarget target{};
  if (extra.size() != sizeof(target)) return "";
  memcpy(&target, extra.data(), sizeof(target));
  if (target.kind >= IoTargetKind::kCount) return "";
  std::string text = kKinds[static_cast<std::size_t>(target.kind)];
  const bool is_internet = target.kind == IoTargetKind::kTcp || target.kind == IoTargetKind::kTcpListen ||
                           target.kind == IoTargetKind::kUdp;
  if (!is_internet) return text;
  if (target.kind == IoTargetKind::kTcpListen) return text + " :" + std::to_string(target.local_port);
  if (target.has_peer == 0) return text;
  if (serves(target.peer_port, target.local_port))
    return text + " " + address_of(target) + ":" + std::to_string(target.peer_port);
  if (serves(target.local_port, target.peer_port))
    return text + " :" + std::to_string(target.local_port) + " from " + address_of(target);
  return text + " " + address_of(target);
}

}  // namespace siprof::client
