// SPDX-License-Identifier: Apache-2.0
// Reads what an interpreter says of its code objects (interpreter_facts.py) and compares it with what the
// agent's decoders and table of layouts say. Ends with 1 and one line at the first difference.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "collector-client/python/layouts.h"
#include "collector-client/python/line_table.h"

namespace siprof::client {
namespace {

std::vector<std::byte> bytes_of(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 2 <= hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16)));
  return bytes;
}

bool check_code(std::istringstream& words, std::uint16_t* version) {
  std::uint32_t first_line = 0;
  std::uint32_t count = 0;
  std::string hex;
  words >> *version >> first_line >> count >> hex;
  const std::vector<std::byte> table = bytes_of(hex);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t expected = 0;
    words >> expected;
    const std::uint32_t line = line_of(*version, table, first_line, i).value_or(0);
    if (words && line == expected) continue;
    std::printf("instruction %u of line %u, not %u: first line %u, table %s\n", i, expected, line, first_line,
                hex.c_str());
    return false;
  }
  return true;
}

bool check_layout(std::uint16_t version, std::map<std::string, unsigned> members) {
  const PythonLayout* layout = find_layout(version);
  if (layout == nullptr) {
    std::printf("version %x isn't in the table\n", version);
    return false;
  }
  const std::map<std::string, unsigned> known = {
      {"basicsize", layout->code_bytes}, {"co_filename", layout->file_name},
      {"co_name", layout->plain_name},   {"co_firstlineno", layout->first_line},
      {"co_flags", layout->flags},       {"co_linetable", layout->line_table},
      {"co_lnotab", layout->line_table}, {"co_qualname", layout->name},
  };
  std::size_t compared = 0;
  for (const auto& [name, offset] : known) {
    if (!members.contains(name)) continue;
    ++compared;
    if (members[name] == offset) continue;
    std::printf("%s is at %u, not at %u\n", name.c_str(), members[name], offset);
    return false;
  }
  return compared >= 5;
}

int run() {
  std::map<std::string, unsigned> members;
  std::uint16_t version = 0;
  std::size_t codes = 0;
  for (std::string text; std::getline(std::cin, text);) {
    std::istringstream words(text);
    std::string what;
    words >> what;
    if (what == "layout") {
      std::string name;
      unsigned offset = 0;
      words >> name >> offset;
      members[name] = offset;
    } else {
      if (!check_code(words, &version)) return 1;
      ++codes;
    }
  }
  if (!check_layout(version, members)) return 1;
  std::printf("%zu code objects\n", codes);
  return codes > 1000 ? 0 : 1;
}

}  // namespace
}  // namespace siprof::client

int main() {
  return siprof::client::run();
}
