// SPDX-License-Identifier: Apache-2.0
#include "collector-client/cli/launch.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace siprof::client {

Environment with_shim(Environment environment, const std::string& shim_path, const Options& options) {
  std::string& preload = environment["LD_PRELOAD"];
  if (preload.find(shim_path) == std::string::npos) preload += (preload.empty() ? "" : ":") + shim_path;
  for (const auto& [name, value] : options.given) environment[name] = value;
  environment.try_emplace("SIPROF_RUN_ID", new_run_id());
  return environment;
}

int execute(const std::vector<std::string>& command, const Environment& environment, const char* who) {
  std::vector<std::string> entries;
  for (const auto& [name, value] : environment) entries.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& entry : entries) envp.push_back(entry.data());
  envp.push_back(nullptr);
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvpe(argv[0], argv.data(), envp.data());
  const int error = errno;
  std::fprintf(stderr, "siprof %s: cannot execute %s: %s\n", who, argv[0], strerror(error));
  return error == ENOENT ? 127 : 126;
}

void raise_soft_limit(int resource) {
  const auto which = static_cast<__rlimit_resource_t>(resource);
  rlimit limit{};
  if (getrlimit(which, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(which, &limit);
}

std::string new_run_id() {
  unsigned char bytes[16] = {};
  // Cannot fail for so few bytes once the machine has booted (getrandom(2)).
  [[maybe_unused]] const ssize_t got = getrandom(bytes, sizeof(bytes), 0);
  std::string out;
  for (const unsigned char byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace siprof::client
