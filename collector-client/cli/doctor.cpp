// SPDX-License-Identifier: Apache-2.0
// Follows CMD to the program that would run and checks what keeps a preloaded
// library out of it.
#include "collector-client/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "collector-client/aggregate/kinds.h"
#include "collector-client/base/text.h"
#include "collector-client/base/unique_fd.h"
#include "collector-client/cli/elf_check.h"
#include "collector-client/cli/shim_path.h"
#include "collector-client/cli/values.h"

namespace siprof::client {
namespace {

constexpr std::size_t kStartBytes = 64 * 1024;
constexpr int kMaxInterpreters = 5;  // as the kernel

std::string value_of(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

// As execvp looks for it; empty: nowhere.
std::string find_program(const std::string& command, const Environment& environment) {
  if (command.find('/') != std::string::npos) return ::access(command.c_str(), F_OK) == 0 ? command : "";
  const std::string path = environment.contains("PATH") ? value_of(environment, "PATH") : "/bin:/usr/bin";
  std::string found_not_executable;
  for (std::string_view folder : split(path, ':')) {
    const std::string candidate = absl::StrCat(folder.empty() ? "." : std::string(folder), "/", command);
    struct stat info {};
    if (::stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    found_not_executable = candidate;
  }
  return found_not_executable;
}

std::string read_start(const std::string& path, Diagnosis* diagnosis) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string start(kStartBytes, '\0');
  const ssize_t got = fd ? ::read(fd.get(), start.data(), start.size()) : -1;
  if (got < 0) {
    diagnosis->obstacles.push_back(absl::StrCat(path, " cannot be read, so nothing can be said about it"));
    return "";
  }
  start.resize(static_cast<std::size_t>(got));
  return start;
}

// The program of a "#!" line; `env` is followed to the one that it starts.
std::string interpreter_of(std::string_view start, const Environment& environment, Diagnosis* diagnosis) {
  const std::string_view line = trim(start.substr(2, start.find('\n') - 2));
  std::vector<std::string_view> words = split(line, ' ');
  std::erase_if(words, [](std::string_view word) { return word.empty(); });
  if (words.empty()) return "";
  if (!words[0].ends_with("/env")) return std::string(words[0]);
  for (std::string_view word : std::vector(words.begin() + 1, words.end())) {
    if (word == "-i" || word == "--ignore-environment" || word == "-") {
      diagnosis->obstacles.push_back("its #! line clears the environment (env -i), and LD_PRELOAD with it");
    }
    if (!word.starts_with("-") && word.find('=') == std::string_view::npos) {
      const std::string found = find_program(std::string(word), environment);
      return found.empty() ? std::string(word) : found;
    }
  }
  return std::string(words[0]);
}

void check_script(std::string_view text, Diagnosis* diagnosis) {
  if (text.find("unset LD_PRELOAD") != std::string_view::npos ||
      text.find("-u LD_PRELOAD") != std::string_view::npos) {
    diagnosis->notes.push_back("the script unsets LD_PRELOAD: what it starts afterwards is not profiled");
  } else if (text.find("LD_PRELOAD=") != std::string_view::npos) {
    diagnosis->notes.push_back(
        "the script sets LD_PRELOAD itself: it must keep what is in it (LD_PRELOAD=x:$LD_PRELOAD)");
  }
}

void check_privileges(const std::string& path, const DoctorFacts& facts, Diagnosis* diagnosis) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return;
  const char* why = nullptr;
  if ((info.st_mode & S_ISUID) != 0 && info.st_uid != facts.user_id) why = "setuid";
  if ((info.st_mode & S_ISGID) != 0 && info.st_gid != facts.group_id) why = "setgid";
  if (facts.user_id != 0 && ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    why = "given file capabilities";
  }
  if (why == nullptr) return;
  diagnosis->obstacles.push_back(
      absl::StrCat("it is ", why, ": the loader ignores LD_PRELOAD for such programs. ",
                   "Start it as the user it becomes, or take the privilege from the file"));
}

// As shim/core/config.cpp reads them; OpenTelemetry knows no other value than "true".
bool is_switched_off(const std::string& name, const std::string& value) {
  if (name == "OTEL_SDK_DISABLED") return absl::EqualsIgnoreCase(value, "true");
  return parse_switch(value).value_or(false);
}

// The loader skips a library that isn't there, with a line that scripts throw away.
void check_preloaded_path(const std::string& preload, Diagnosis* diagnosis) {
  for (std::string_view colon : split(preload, ':')) {
    for (std::string_view path : split(colon, ' ')) {
      if (!path.ends_with("libsiprof.so") || path.find('/') == std::string_view::npos) continue;
      if (::access(std::string(path).c_str(), R_OK) == 0) continue;
      diagnosis->obstacles.push_back(absl::StrCat("LD_PRELOAD names ", to_absl(path), ": ", strerror(errno),
                                                  "; the loader goes on without it"));
    }
  }
}

void check_kinds(const Environment& environment, Diagnosis* diagnosis) {
  const std::string kinds = value_of(environment, "SIPROF_KINDS");
  if (kinds.empty()) return;
  for (std::string_view kind : split(kinds, ',')) {
    if (find_kind(kind) || kind == "metrics" || kinds == "none") continue;
    diagnosis->notes.push_back(
        absl::StrCat("SIPROF_KINDS=", kinds, " is not used, '", to_absl(kind),
                     "' is no kind: write a list out of cpu, wall, heap, lock, io, errors, metrics"));
    return;
  }
  const auto has_profiles = [](std::string_view kind) { return find_kind(kind).has_value(); };
  if (std::ranges::any_of(split(kinds, ','), has_profiles)) return;
  diagnosis->notes.push_back(absl::StrCat(
      "SIPROF_KINDS=", kinds, " has no kind that makes profiles: add cpu, wall, heap, lock, io or errors"));
}

void check_environment(const DoctorFacts& facts, Diagnosis* diagnosis) {
  for (const char* name : {"SIPROF_DISABLED", "OTEL_SDK_DISABLED"}) {
    const std::string value = value_of(facts.environment, name);
    if (is_switched_off(name, value)) {
      diagnosis->obstacles.push_back(absl::StrCat(name, "=", value, " turns the shim off: unset it"));
    }
  }
  if (!facts.shim.ok()) diagnosis->obstacles.push_back(std::string(facts.shim.status().message()));
  const std::string preload = value_of(facts.environment, "LD_PRELOAD");
  if (preload.empty()) {
    diagnosis->notes.push_back("LD_PRELOAD is not set here: start it with `siprof run`, which sets it");
  } else if (preload.find("libsiprof.so") == std::string::npos) {
    diagnosis->notes.push_back(absl::StrCat(
        "LD_PRELOAD names ", preload, " and not libsiprof.so: start it with `siprof run`, which adds it"));
  }
  check_preloaded_path(preload, diagnosis);
  check_kinds(facts.environment, diagnosis);
}

// A script's interpreter is named; a command's own name stands before the sentence.
std::string what_is_missing(const std::string& command, const std::string& interpreter) {
  if (!interpreter.empty() && interpreter != command) return absl::StrCat(interpreter, " is not found");
  const std::string here = absl::StrCat("./", command);
  if (command.find('/') != std::string::npos || ::access(here.c_str(), X_OK) != 0) return "not found";
  return absl::StrCat("not found in PATH: did you mean ", here, "?");
}

void check_program(const std::string& command, const DoctorFacts& facts, Diagnosis* diagnosis) {
  std::string path = find_program(command, facts.environment);
  for (int depth = 0;; ++depth) {
    struct stat info {};
    if (path.empty() || ::stat(path.c_str(), &info) != 0) {
      diagnosis->obstacles.push_back(what_is_missing(command, path));
      return;
    }
    diagnosis->program = path;
    if (!S_ISREG(info.st_mode) || ::access(path.c_str(), X_OK) != 0) {
      diagnosis->obstacles.push_back(absl::StrCat(path, " is not executable (chmod +x)"));
      return;
    }
    const std::string start = read_start(path, diagnosis);
    if (start.starts_with("#!") && depth < kMaxInterpreters) {
      check_script(start, diagnosis);
      path = interpreter_of(start, facts.environment, diagnosis);
      continue;
    }
    if (start.empty()) return;
    const std::string why = why_not_preloadable(start);
    if (!why.empty()) diagnosis->obstacles.push_back(why);
    if (why.empty() && exports_function(path, "malloc")) {
      diagnosis->notes.push_back(
          "it brings its own malloc: the heap profile stays empty. Link the allocator as a library "
          "(-ltcmalloc, "
          "-ljemalloc), or preload it");
    }
    // Of a script only the interpreter's bits count.
    check_privileges(path, facts, diagnosis);
    return;
  }
}

}  // namespace

Diagnosis examine(const std::string& command, const DoctorFacts& facts) {
  Diagnosis diagnosis;
  check_program(command, facts, &diagnosis);
  if (diagnosis.program.empty()) return diagnosis;  // without a program nothing else matters
  check_environment(facts, &diagnosis);
  return diagnosis;
}

int run_doctor(int argc, char** argv) {
  int at = 1;
  const bool marked = at < argc && std::string_view(argv[at]) == "--";
  if (marked) ++at;
  if (at >= argc || (!marked && argv[at][0] == '-')) {
    const bool help =
        at < argc && (std::string_view(argv[at]) == "--help" || std::string_view(argv[at]) == "-h");
    std::fputs(
        "usage: siprof doctor [--] CMD\nsays why CMD would not be profiled; status 0: it will be, 1: it "
        "won't\n",
        help ? stdout : stderr);
    return help ? 0 : 2;
  }
  const Diagnosis diagnosis = examine(argv[at], {own_environment(), ::getuid(), ::getgid(), find_shim()});
  const std::string name = diagnosis.program.empty() ? argv[at] : diagnosis.program;
  for (const std::string& obstacle : diagnosis.obstacles)
    std::printf("no: %s: %s\n", name.c_str(), obstacle.c_str());
  for (const std::string& note : diagnosis.notes) std::printf("note: %s\n", note.c_str());
  if (!diagnosis.obstacles.empty()) return 1;
  std::printf("yes: %s will be profiled\n", name.c_str());
  return 0;
}

}  // namespace siprof::client
