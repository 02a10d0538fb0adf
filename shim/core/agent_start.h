// SPDX-License-Identifier: Apache-2.0
// Where the agent is, and how it is started, from the attach child.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "shim/base/attrs.h"
#include "shim/base/text.h"
#include "shim/core/attach_child.h"
#include "shim/core/maps.h"

namespace siprof::shim {

struct AgentAddress {
  sockaddr_un address;
  socklen_t bytes;
};

// The addresses of this user's and configuration's agent: abstract (reached from any
// chroot) and by path (reached from another network namespace).
struct AgentAddresses {
  char abstract_name[64];
  char path[108];
  bool has_abstract;
};
SIPROF_SIGNAL_SAFE void find_addresses(std::uint32_t user_id, AgentAddresses* out);
SIPROF_SIGNAL_SAFE void to_abstract(const char* name, AgentAddress* out);
SIPROF_SIGNAL_SAFE void to_path(const char* path, AgentAddress* out);

// Starts an agent that reads `socket_fd` first. True if a program was executed.
// Context: the attach child.
SIPROF_SIGNAL_SAFE bool start_agent(AttachRequest* request, const MapsText& maps, int socket_fd,
                                    const AgentAddresses& addresses);

}  // namespace siprof::shim
