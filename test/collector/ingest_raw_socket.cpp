// SPDX-License-Identifier: Apache-2.0
#include "test/collector/ingest_raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace siprof::collector {

std::string send_and_hang_up(int port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const timeval patience{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string answer(65'536, '\0');
  std::size_t used = 0;
  for (ssize_t got;
       used < answer.size() && (got = recv(fd, answer.data() + used, answer.size() - used, 0)) > 0;) {
    used += static_cast<std::size_t>(got);
  }
  close(fd);
  REQUIRE(connected == 0);
  answer.resize(used);
  return answer;
}

}  // namespace siprof::collector
