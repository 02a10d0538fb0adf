// SPDX-License-Identifier: Apache-2.0
// What an exception says of itself: what() of those that derive from std::exception. Off unless
// SIPROF_ERROR_MESSAGES asks for it, because it runs the exception's own code, and texts may be private.
#pragma once

#include <cstdint>

namespace siprof::shim {

inline constexpr std::uint32_t kMostMessageBytes = 256;

// As SIPROF_ERROR_MESSAGES has it. Context: any thread.
bool messages_are_on();

// The text, of which the first kMostMessageBytes count; null if `object`, of the dynamic type `type` (a
// std::type_info), isn't a std::exception or has no text. Context: where the program throws; calls its code.
const char* message_of(const void* type, const void* object);

}  // namespace siprof::shim
