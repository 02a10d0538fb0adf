// SPDX-License-Identifier: Apache-2.0
// What the label `fd` says of an IoTarget.
#pragma once

#include <string>
#include <string_view>

namespace siprof::client {

// `extra` is what came with the sample, from the process: "" if it is nothing that can be told.
//
// A connection is told by its other end, `tcp 10.0.0.1:80`. One that was accepted has a new port at the other
// end each time, so it is told by ours: `tcp :80 from 10.0.0.7`.
std::string text_of_target(std::string_view extra);

}  // namespace siprof::client
