// SPDX-License-Identifier: Apache-2.0
// Is this text UTF-8 as Unicode defines it (no overlong forms, no surrogates, at
// most U+10FFFF)? Protobuf's own check only says that some string of a message isn't.
#pragma once

#include <string_view>

namespace siprof::collector {

bool is_utf8(std::string_view text);

}  // namespace siprof::collector
