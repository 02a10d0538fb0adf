// SPDX-License-Identifier: Apache-2.0
// See demangle.h.
#include "collector-client/symbolize/demangle.h"

#include <libiberty/demangle.h>

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

std::string demangle(std::string_view linkage_name) {
  std::string name(without_clone_suffix(linkage_name));
  if (name.size() <= kMaxMangledBytes && name.size() > 2 && name[0] == '_') {
    char* text = name.starts_with("_D") ? dlang_demangle(name.c_str(), DMGL_PARAMS)
                                        : cplus_demangle(name.c_str(), DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO);
    const std::unique_ptr<char, void (*)(void*)> readable(text, std::free);
    if (readable != nullptr && readable.get()[0] != '\0') name = readable.get();
  }
  if (name.size() > kMaxNameBytes) name.resize(kMaxNameBytes);
  return name;
}

}  // namespace siprof::client
