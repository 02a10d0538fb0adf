// SPDX-License-Identifier: Apache-2.0
// See demangle.h.
#include "collector-client/symbolize/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>

#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

constexpr std::array<std::string_view, 9> kCloneMarks = {
    ".part", ".constprop", ".isra", ".cold", ".lto_priv", ".llvm", ".localalias", ".clone", ".unlikely"};

// The libiberty demangler recurses with the name's length; longer ones are not worth it.
constexpr std::size_t kMaxMangledBytes = 16384;

// The position of the last dot that starts a clone mark, npos without one.
std::size_t last_clone_mark(std::string_view name) {
  std::size_t end = name.size();
  // ".part.0": a number belongs to the mark before it.
  while (end > 0 && std::isdigit(static_cast<unsigned char>(name[end - 1])) != 0) --end;
  if (end > 0 && end < name.size() && name[end - 1] == '.') --end;
  const std::string_view head = name.substr(0, end);
  for (const std::string_view mark : kCloneMarks) {
    if (head.size() > mark.size() && head.ends_with(mark)) return head.size() - mark.size();
  }
  return std::string_view::npos;
}

// What libiberty has printed so far. A name of some hundred bytes may stand for one of terabytes, and there
// is no other way to stop it; it holds no memory then that would be lost.
struct Printed {
  jmp_buf full;
  std::size_t bytes;
  char text[kMaxNameBytes];
};

void print_part(const char* part, std::size_t bytes, void* opaque) {
  auto* printed = static_cast<Printed*>(opaque);
  const std::size_t room = sizeof(printed->text) - printed->bytes;
  std::copy_n(part, std::min(bytes, room), printed->text + printed->bytes);
  printed->bytes += std::min(bytes, room);
  if (bytes > room) longjmp(printed->full, 1);
}

// Takes libiberty's answer, which malloc made; null: none.
void replace_if_readable(char* text, std::string* name) {
  const std::unique_ptr<char, void (*)(void*)> readable(text, std::free);
  if (readable != nullptr && readable.get()[0] != '\0') *name = readable.get();
}

}  // namespace

std::string_view without_clone_suffix(std::string_view name) {
  const std::size_t version = name.find('@');
  if (version != std::string_view::npos && version > 0 && name.substr(version) != "@plt") {
    name = name.substr(0, version);
  }
  for (std::size_t mark; (mark = last_clone_mark(name)) != std::string_view::npos;)
    name = name.substr(0, mark);
  return name;
}

std::string demangle_type(std::string_view type_name) {
  std::string name(type_name.substr(0, kMaxNameBytes));
  Printed printed;
  printed.bytes = 0;
  // Not readable: nothing was printed, or a part of it.
  if (setjmp(printed.full) == 0 &&
      cplus_demangle_v3_callback(name.c_str(), DMGL_PARAMS | DMGL_ANSI | DMGL_TYPES, print_part, &printed) ==
          0)
    return name;
  return printed.bytes == 0 ? name : std::string(printed.text, printed.bytes);
}

std::string demangle(std::string_view linkage_name) {
  std::string name(without_clone_suffix(linkage_name));
  if (name.size() <= kMaxMangledBytes && name.size() > 2 && name[0] == '_') {
    replace_if_readable(name.starts_with("_D")
                            ? dlang_demangle(name.c_str(), DMGL_PARAMS)
                            : cplus_demangle(name.c_str(), DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO),
                        &name);
  }
  if (name.size() > kMaxNameBytes) name.resize(kMaxNameBytes);
  return name;
}

}  // namespace siprof::client
