// SPDX-License-Identifier: Apache-2.0
// Answers on their way to `siprof ps`. One of thousands of processes is larger than a socket
// takes at once, and who asked may never read: the agent's loop sends what fits and goes on.
#pragma once

#include <poll.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {

class Replies {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(10);  // with one reader
  static constexpr std::size_t kMost = 16;                        // at a time

  // Sends `text` over the SOCK_SEQPACKET socket, which doesn't block, in several messages and
  // closes it: the reader reads to the end of the stream. With kMost under way it is closed at once.
  void add(UniqueFd socket, std::string text, absl::Time now);

  // What the sockets take now. Lets go of readers that are gone or too slow.
  void send_some(absl::Time now);

  // What to poll for.
  void add_to(std::vector<pollfd>* fds) const;

  std::size_t size() const { return replies_.size(); }

 private:
  struct Reply {
    UniqueFd socket;
    std::string text;
    std::size_t sent = 0;
    absl::Time until;
  };
  static bool is_done(Reply& reply, absl::Time now);

  std::vector<Reply> replies_;
};

}  // namespace siprof::client
