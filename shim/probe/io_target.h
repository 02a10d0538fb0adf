// SPDX-License-Identifier: Apache-2.0
// What a descriptor is, for samples of the io probe.
#pragma once

#include "proto/siprof/io_calls.h"

namespace siprof::shim {

// Looks at `fd` now: the app may have closed it, or another file may have its number by now. Raw system calls
// only. Context: any thread that may make system calls.
IoTarget describe_descriptor(int fd);

}  // namespace siprof::shim
