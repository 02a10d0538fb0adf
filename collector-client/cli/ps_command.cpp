// SPDX-License-Identifier: Apache-2.0
// `siprof ps`: asks every agent of this user that can be found what it profiles. The user's
// processes are what is asked for, so another XDG_STATE_HOME or collector hides none.
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

void print_process(const nlohmann::json& process, int agent_pid) {
  const nlohmann::json& counters = process.at("counters");
  std::uint64_t lost = 0;
  for (const auto& [name, value] : counters.items()) {
    if (name.starts_with("lost_")) lost += value.get<std::uint64_t>();
  }
  const auto written =
      counters.at("samples").get<std::uint64_t>() + counters.at("events").get<std::uint64_t>();
  const auto walked = counters.at("stack_walked").get<std::uint64_t>();
  const std::string share = written == 0 ? "-" : std::to_string(walked * 100 / written) + "%";
  std::printf("%8d %8d %5u %10llu %8llu %8llu %7s  %-24s %s\n", process.at("pid").get<int>(), agent_pid,
              process.at("hz").get<unsigned>(), process.at("samples").get<unsigned long long>(),
              static_cast<unsigned long long>(lost), counters.at("stack_cut").get<unsigned long long>(),
              share.c_str(), process.at("service").get<std::string>().c_str(),
              process.at("executable").get<std::string>().c_str());
}

// What the agent there has to say, unless it was asked before: it has two addresses.
// Errors: an answer that isn't whole or makes no sense; of an address found, not given, a
// socket that was left behind is none.
absl::Status print_agent(const std::string& address, bool given, std::set<int>* asked) {
  const absl::StatusOr<std::string> text = ask_status(address);
  if (!text.ok()) return given ? text.status() : absl::OkStatus();
  try {
    const nlohmann::json agent = nlohmann::json::parse(*text);
    const int pid = agent.at("agent_pid").get<int>();
    if (!asked->insert(pid).second) return absl::OkStatus();
    for (const nlohmann::json& process : agent.at("processes")) print_process(process, pid);
  } catch (const nlohmann::json::exception&) {
    return absl::DataLossError("the agent at " + address + " gave no whole answer (" +
                               std::to_string(text->size()) + " bytes): ask again");
  }
  return absl::OkStatus();
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
    std::puts(
        "usage: siprof ps [--agent-socket PATH]\n\nProcesses now profiled, with their counters, of all "
        "agents "
        "of this user,\nwhatever their state folder and collector are; or of the one at PATH.");
    return 0;
  }
  std::set<int> asked;
  int status = 0;
  std::printf("%8s %8s %5s %10s %8s %8s %7s  %-24s %s\n", "PID", "AGENT", "HZ", "SAMPLES", "LOST", "CUT",
              "WALKED", "SERVICE", "EXECUTABLE");
  for (const std::string& address : find_agents(line->options, state_folder(environment))) {
    const absl::Status asking = print_agent(address, !line->options.agent_socket.empty(), &asked);
    if (asking.ok()) continue;
    std::fprintf(stderr, "siprof ps: %s\n", std::string(asking.message()).c_str());
    status = 1;
  }
  return status;
}

}  // namespace siprof::client
