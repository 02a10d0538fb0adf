// SPDX-License-Identifier: Apache-2.0
// Finds the script in an interpreter's arguments.
#include "collector-client/base/interpreter.h"

#include "absl/strings/ascii.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

struct Interpreter {
  std::string_view family;
  std::string_view options_with_value;  // single letters whose value is the next argument
  std::string_view inline_code;         // single letters after which there is no script
  std::string_view module;              // single letter whose value names the program
};

constexpr Interpreter kInterpreters[] = {
    {"python", "WX", "c", "m"}, {"pypy", "WX", "c", "m"}, {"perl", "", "eE", ""},  {"ruby", "CEIr", "e", ""},
    {"node", "r", "ep", ""},    {"php", "cdz", "r", ""},  {"bash", "oO", "c", ""}, {"dash", "o", "c", ""},
    {"sh", "oO", "c", ""},      {"zsh", "o", "c", ""},
};

const Interpreter* find_interpreter(std::string_view file_name) {
  // "python3.11", "php8.2", "ruby3.1": the version is no part of the family.
  while (!file_name.empty() && (absl::ascii_isdigit(file_name.back()) || file_name.back() == '.')) {
    file_name.remove_suffix(1);
  }
  for (const Interpreter& interpreter : kInterpreters) {
    if (interpreter.family == file_name) return &interpreter;
  }
  return nullptr;
}

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string script_name(std::string_view path) {
  std::string_view name = base_name(path);
  // A package's entry is called by its folder: "app/__main__.py" is "app".
  if (name == "__main__.py" && path.size() > name.size() + 1) {
    name = base_name(path.substr(0, path.size() - name.size() - 1));
  }
  for (std::string_view ending : {".py", ".pyc", ".pl", ".rb", ".js", ".mjs", ".cjs", ".php", ".sh"}) {
    if (name.size() > ending.size() && strip_suffix(&name, ending)) break;
  }
  return std::string(name);
}

// Empty: the interpreter runs no script (interactive, -c, standard input).
std::string script_of(const Interpreter& interpreter, const std::vector<std::string>& arguments) {
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") return i + 1 < arguments.size() ? script_name(arguments[i + 1]) : "";
    if (argument == "-") return "";
    if (!argument.starts_with("-")) return script_name(argument);
    if (argument.starts_with("--")) continue;
    for (std::size_t at = 1; at < argument.size(); ++at) {
      const char letter = argument[at];
      const bool last = at + 1 == argument.size();
      if (interpreter.inline_code.find(letter) != std::string_view::npos) return "";
      if (interpreter.module.find(letter) != std::string_view::npos) {
        if (!last) return argument.substr(at + 1);
        return i + 1 < arguments.size() ? arguments[i + 1] : "";
      }
      if (interpreter.options_with_value.find(letter) != std::string_view::npos) {
        if (last) ++i;
        break;  // the rest of this argument is the value
      }
    }
  }
  return "";
}

}  // namespace

std::string_view interpreter_family(std::string_view file_name) {
  const Interpreter* interpreter = find_interpreter(file_name);
  return interpreter == nullptr ? std::string_view() : interpreter->family;
}

std::string default_service(const std::string& executable, const std::vector<std::string>& arguments) {
  std::string_view name = base_name(executable);
  strip_suffix(&name, " (deleted)");
  if (const Interpreter* interpreter = find_interpreter(name)) {
    if (std::string script = script_of(*interpreter, arguments); !script.empty()) return script;
  }
  return name.empty() ? "unknown" : std::string(name);
}

}  // namespace siprof::client
