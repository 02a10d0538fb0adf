// SPDX-License-Identifier: Apache-2.0
// A profile's totals in a line for people: "2.10s waited for locks and other threads, 340 times".
#pragma once

#include <string>
#include <string_view>

#include "collector-client/aggregate/kinds.h"
#include "profile.pb.h"

namespace siprof::client {

// Of all the kind's types, and of what its labels tell apart: the largest types of exceptions, the calls that
// took longest.
std::string headline(Kind kind, const perftools::profiles::Profile& profile);

// The type by which a run's functions are listed: of memory what was allocated, what is left at a program's
// end says little.
std::string_view listed_type(Kind kind);

}  // namespace siprof::client
