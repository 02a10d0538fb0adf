// SPDX-License-Identifier: Apache-2.0
// `siprof ps`: asks every agent of this user that can be found what it profiles.
#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "collector-client/attach/listener.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"
#include "collector-client/cli/options.h"
#include "collector-client/cli/run_command.h"
#include "collector-client/cli/state_folder.h"

namespace siprof::client {
namespace {

// Paths in the state folder, and abstract names of this user as the kernel lists them.
std::set<std::string> find_agents(const Options& options, const std::string& state) {
  std::set<std::string> addresses;
  if (!options.agent_socket.empty()) return {options.agent_socket};
  if (DIR* folder = opendir(state.c_str())) {
    while (const dirent* entry = readdir(folder)) {
      const std::string name = entry->d_name;
      if (name.starts_with("agent-") && name.ends_with(".sock")) addresses.insert(state + "/" + name);
    }
    closedir(folder);
  }
  const absl::StatusOr<std::string> sockets = read_file("/proc/net/unix", 64u << 20);
  const std::string prefix = "@siprof-" + std::to_string(getuid()) + "-";
  for (const std::string_view line : split(sockets.ok() ? *sockets : "", '\n')) {
    const std::size_t at = line.find(prefix);
    if (at != std::string_view::npos) addresses.insert(std::string(line.substr(at)));
  }
  return addresses;
}

void print_process(const nlohmann::json& process, const nlohmann::json& agent) {
  const nlohmann::json& counters = process["counters"];
  std::uint64_t lost = 0;
  for (const auto& [name, value] : counters.items()) {
    if (name.starts_with("lost_")) lost += value.get<std::uint64_t>();
  }
  std::printf("%8d %8d %5u %10llu %8llu %8llu  %-24s %s\n", process["pid"].get<int>(),
              agent["agent_pid"].get<int>(), process["hz"].get<unsigned>(),
              process["samples"].get<unsigned long long>(), static_cast<unsigned long long>(lost),
              counters["stack_cut"].get<unsigned long long>(), process["service"].get<std::string>().c_str(),
              process["executable"].get<std::string>().c_str());
}

}  // namespace

int run_ps(int argc, char** argv) {
  const Environment environment = own_environment();
  absl::StatusOr<CommandLine> line = parse_command_line({argv + 1, argv + argc}, environment);
  if (!line.ok() || !line->command.empty()) {
    std::fprintf(stderr, "siprof ps: %s\n",
                 line.ok() ? "takes no arguments but options" : std::string(line.status().message()).c_str());
    return 2;
  }
  if (line->help) {
    std::printf("usage: siprof ps [--agent-socket PATH]\n\nProcesses now profiled, with their counters.\n");
    return 0;
  }
  std::set<int> asked;  // an agent has two addresses
  std::printf("%8s %8s %5s %10s %8s %8s  %-24s %s\n", "PID", "AGENT", "HZ", "SAMPLES", "LOST", "CUT",
              "SERVICE", "EXECUTABLE");
  for (const std::string& address : find_agents(line->options, state_folder(environment))) {
    const absl::StatusOr<std::string> text = ask_status(address);
    if (!text.ok()) {
      if (!line->options.agent_socket.empty()) {
        std::fprintf(stderr, "siprof ps: %s\n", std::string(text.status().message()).c_str());
        return 1;
      }
      continue;  // a socket left behind
    }
    const nlohmann::json agent = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (agent.is_discarded() || !asked.insert(agent.value("agent_pid", 0)).second) continue;
    for (const nlohmann::json& process : agent["processes"]) print_process(process, agent);
  }
  return 0;
}

}  // namespace siprof::client
