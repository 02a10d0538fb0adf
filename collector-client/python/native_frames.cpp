// SPDX-License-Identifier: Apache-2.0
// See native_frames.h.
#include "collector-client/python/native_frames.h"

#include <algorithm>
#include <string_view>

#include "collector-client/base/interpreter.h"

namespace siprof::client {
namespace {

// What is below the outermost Python frame of an ordinary Python program: the C library, which starts the
// program and its threads, siprof's wrapper of a thread, and the executable that only calls the interpreter's
// library.
bool only_starts_python(const CodeAddress& code) {
  if (code.module == nullptr) return false;
  const std::string_view path = code.module->path;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "libc.so.6" || name == "libpthread.so.0" || name == "libsiprof.so" ||
         name.starts_with("libc-2.") || name.starts_with("libpthread-2.") ||
         interpreter_family(name) == "python";
}

}  // namespace

std::optional<NativeFrames> parse_native_frames(std::string_view text) {
  if (text == "app") return NativeFrames::kApp;
  if (text == "all") return NativeFrames::kAll;
  if (text == "none") return NativeFrames::kNone;
  return std::nullopt;
}

void hide_native_frames(NativeFrames shown, const Module* interpreter, std::vector<CodeAddress>* stack) {
  const auto outermost =
      std::find_if(stack->rbegin(), stack->rend(), [](const CodeAddress& code) { return code.is_python(); });
  if (outermost == stack->rend() || shown == NativeFrames::kAll) return;
  if (shown == NativeFrames::kNone) {
    std::erase_if(*stack, [](const CodeAddress& code) { return !code.is_python(); });
    return;
  }
  const auto is_interpreters = [&](const CodeAddress& code) {
    return interpreter != nullptr && code.module == interpreter;
  };
  const auto is_its_own = [&](const CodeAddress& code) {
    return is_interpreters(code) || only_starts_python(code);
  };
  // A program that embeds Python, or a library's thread that calls it, shows how it came to that.
  if (std::all_of(outermost.base(), stack->end(), is_its_own)) stack->erase(outermost.base(), stack->end());
  std::erase_if(*stack, is_interpreters);
}

}  // namespace siprof::client
