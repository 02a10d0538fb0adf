// SPDX-License-Identifier: Apache-2.0
// The sockets by which processes find the agent: an abstract one (reachable from any
// chroot) and one with a path (reachable from another network namespace).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector-client/attach/attach_request.h"
#include "collector-client/base/unique_fd.h"

namespace siprof::client {

struct Peer {
  uid_t uid = 0;
  pid_t pid = 0;
};

// A connection whose message has not come yet. Nothing waits for it.
struct Connection {
  UniqueFd fd;
  Peer peer;
};

class Listener {
 public:
  Listener() = default;
  Listener(Listener&&) = default;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  // Either may be empty, not both. `mode` is the permissions of the path.
  // Errors: ALREADY_EXISTS when a living agent listens there.
  static absl::StatusOr<Listener> open(const std::string& abstract_name, const std::string& path,
                                       mode_t mode);

  const std::vector<UniqueFd>& sockets() const { return sockets_; }
  const std::string& path() const { return path_; }

  // Nobody can connect any more; those who have are still there to be accepted.
  void refuse_newcomers();

  // The next connection that waits at `socket_fd`; nullopt: none, or errno says why not.
  static std::optional<Connection> accept(int socket_fd);

 private:
  void remove_path();
  std::vector<UniqueFd> sockets_;
  std::string path_;
  dev_t path_device_ = 0;  // of the socket we made: another agent's isn't removed
  ino_t path_inode_ = 0;
};

// A connection to the agent at an address ("@name": abstract, else a path). Neither
// connecting nor sending over it takes longer than some seconds, if the agent is stopped.
absl::StatusOr<UniqueFd> connect_to_agent(const std::string& address);

// Whoever is at the other end of the connected socket doesn't listen any more.
bool has_hung_up(int socket);

// Asks the agent there what it does. JSON text. Errors: UNAVAILABLE: nobody there, or it
// doesn't answer us.
absl::StatusOr<std::string> ask_status(const std::string& address);

}  // namespace siprof::client
