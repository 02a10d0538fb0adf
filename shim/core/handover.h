// SPDX-License-Identifier: Apache-2.0
// What the attach child finds out about the app for the agent: descriptors by which the
// agent can look into it, and the app's threads.
#pragma once

#include <cstdint>

#include "proto/siprof/handshake.h"
#include "shim/base/attrs.h"
#include "shim/core/attach_child.h"
#include "shim/core/maps.h"

namespace siprof::shim {

struct Handover {
  MapsText maps;
  std::uint32_t descriptors;  // AttachDescriptor bits
  int fds[5];
  int fd_count;
  bool maps_are_live;
  std::int32_t proc_pid;  // the app as /proc numbers it, which may be another pid namespace's; 0: not known
};

// Opens what the agent gets, the memory first. Context: the attach child.
SIPROF_SIGNAL_SAFE void open_all(long memory_fd, Handover* handover);

// Whether "/" is still what it was when the program started: after chroot(2) a path may
// lead to anybody's file, and none of those is executed in the program's name. Remembered
// from the first attach on, also by what is forked. Context: the attach child.
SIPROF_SIGNAL_SAFE bool root_is_trusted(const Handover& handover);

// Notes the app's threads in the request. Context: the attach child.
SIPROF_SIGNAL_SAFE void scan_threads(const Handover& handover, AttachRequest* request);

}  // namespace siprof::shim
