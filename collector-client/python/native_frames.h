// SPDX-License-Identifier: Apache-2.0
// Which native frames Python stacks show: the option --native-frames.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "collector-client/base/module.h"

namespace siprof::client {

enum class NativeFrames {
  kApp,   // not the interpreter's own, nor what only starts it or a thread of it
  kAll,   // all
  kNone,  // none
};

// The option's value; nullopt: it isn't one.
std::optional<NativeFrames> parse_native_frames(std::string_view text);

// `stack`, leaf first, is left alone where it has no Python frame. `interpreter` is the file of its code,
// null: it is gone.
void hide_native_frames(NativeFrames shown, const Module* interpreter, std::vector<CodeAddress>* stack);

}  // namespace siprof::client
