// SPDX-License-Identifier: Apache-2.0
// `siprof agent`: the agent in the foreground, and the one that a profiled process
// starts (--spawned), which finds out first whether there is one already.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <optional>

#include "collector-client/agent/agent.h"
#include "collector-client/base/log.h"
#include "collector-client/cli/exporter_settings.h"
#include "collector-client/cli/launch.h"
#include "collector-client/cli/run_command.h"
#include "collector-client/cli/state_folder.h"
#include "collector-client/export/exporters.h"
#include "collector-client/symbolize/bus_guard.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kLinger = absl::Seconds(3);
constexpr absl::Duration kFlushWait = absl::Seconds(10);
constexpr absl::Duration kNameWait = absl::Seconds(15);
constexpr unsigned kEndAtLatestSeconds = 20;

// What isn't one of the options: how it was started.
struct AgentArguments {
  bool spawned = false;
  int attach_fd = -1;
  std::string abstract_name;
  mode_t socket_mode = 0600;
  std::vector<std::string> rest;
};

// Errors: false, after a line that says what to write.
bool take_arguments(const std::vector<std::string>& arguments, AgentArguments* out) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const bool has_value = i + 1 < arguments.size();
    if (word == "--spawned") {
      out->spawned = true;
    } else if (word == "--attach-fd" && has_value) {
      out->attach_fd = atoi(arguments[++i].c_str());
    } else if (word == "--abstract" && has_value) {
      out->abstract_name = arguments[++i];
    } else if (word == "--socket-mode" && has_value) {
      const std::string& text = arguments[++i];
      unsigned mode = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
      if (error != std::errc() || end != text.data() + text.size() || mode > 0777) {
        std::fprintf(stderr, "siprof agent: --socket-mode %s: write octal permissions, such as 600 or 666\n",
                     text.c_str());
        return false;
      }
      out->socket_mode = mode;
    } else {
      out->rest.push_back(word);
    }
  }
  return true;
}

// The app's limits and priorities are not the agent's.
void become_a_good_neighbour() {
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_FSIZE, RLIMIT_CPU}) {
    raise_soft_limit(resource);
  }
  const sched_param normal{};
  sched_setscheduler(0, SCHED_OTHER, &normal);
  setpriority(PRIO_PROCESS, 0, 0);
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &all);
  sched_setaffinity(0, sizeof(all), &all);
  // Under memory pressure it is the agent that goes, not the app.
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, "1000", 4);
  close(fd);
}

Agent* g_agent = nullptr;

void on_end_signal(int) {
  if (g_agent != nullptr) g_agent->stop();
}

void handle_signals() {
  struct sigaction end {};
  end.sa_handler = on_end_signal;
  sigaction(SIGTERM, &end, nullptr);
  sigaction(SIGINT, &end, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
}

// Whatever the process that started us had made of the signal.
void end_at_latest_in(unsigned seconds) {
  signal(SIGALRM, SIG_DFL);
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarm_only, nullptr);
  alarm(seconds);
}

// Another agent was faster: the process goes to it. Status of this one.
int hand_over(const AgentArguments& arguments, const std::string& path, const RawMessage& message) {
  if (message.bytes.empty()) return 0;
  absl::StatusOr<UniqueFd> winner = absl::NotFoundError("");
  if (!arguments.abstract_name.empty()) winner = connect_to_agent("@" + arguments.abstract_name);
  if (!winner.ok()) winner = connect_to_agent(path);
  if (!winner.ok()) return 1;
  const absl::Status sent = send_message(winner->get(), message);
  if (!sent.ok()) spdlog::error("a process could not be handed to the running agent: {}", sent.ToString());
  return sent.ok() ? 0 : 1;
}

struct Setup {
  Options options;
  AgentArguments arguments;
  Environment environment;
  std::string state;
};

AgentSettings settings_of(const Setup& setup) {
  AgentSettings settings;
  settings.window = setup.options.window;
  settings.budget_share = setup.options.budget_share;
  if (setup.arguments.spawned) settings.linger = kLinger;
  settings.finish_within = kNameWait;
  settings.open_to_others = !setup.arguments.spawned;
  settings.run_id = new_run_id();
  settings.symbols.cache_folder = setup.state + "/symbols";
  settings.native_frames = setup.options.native_frames;
  settings.table_folder = setup.state + "/tables";
  return settings;
}

int serve(const Setup& setup, Listener listener, RawMessage first) {
  Agent* agent = nullptr;
  std::mutex mutex;  // an early configuration waits until there is an agent
  std::optional<v1::Configuration> early;
  auto exporter =
      make_exporter(exporter_settings(setup.options, Output::kByWindow), [&](const v1::Configuration& c) {
        const std::lock_guard lock(mutex);
        if (agent != nullptr) {
          agent->configure(c);
        } else {
          early = c;
        }
      });
  if (!exporter.ok()) {
    spdlog::error("{}", std::string(exporter.status().message()));
    if (!setup.arguments.spawned)
      std::fprintf(stderr, "siprof agent: %s\n", std::string(exporter.status().message()).c_str());
    return 2;
  }
  Agent made(settings_of(setup), std::move(listener), **exporter);
  {
    const std::lock_guard lock(mutex);
    agent = &made;
    if (early) made.configure(*early);
  }
  g_agent = &made;
  handle_signals();
  made.run(std::move(first));
  // Nobody watches a spawned agent: whatever a library may wait for, it ends. What isn't
  // delivered is in the spool.
  if (setup.arguments.spawned) end_at_latest_in(kEndAtLatestSeconds);
  const absl::Status flushed = (*exporter)->flush(absl::Now() + kFlushWait);
  if (!flushed.ok())
    spdlog::warn("not everything was delivered, the rest stays in {}: {}", setup.options.spool,
                 flushed.ToString());
  exporter->reset();  // no configuration comes after this
  g_agent = nullptr;
  return 0;
}

std::string log_file(const Setup& setup) {
  return setup.arguments.spawned ? setup.state + "/agent.log" : "";
}

}  // namespace

int run_agent(int argc, char** argv) {
  Setup setup;
  setup.environment = own_environment();
  if (!take_arguments({argv + 1, argv + argc}, &setup.arguments)) return 2;
  absl::StatusOr<CommandLine> line = parse_command_line(setup.arguments.rest, setup.environment);
  if (!line.ok()) {
    std::fprintf(stderr, "siprof agent: %s\n", std::string(line.status().message()).c_str());
    return 2;
  }
  if (line->help) {
    std::printf(
        "usage: siprof agent [OPTIONS]\n\n%s\n  --socket-mode OCTAL\n      permissions of the socket: 600 "
        "(default) or 666 to let other users join\n",
        options_help().c_str());
    return 0;
  }
  if (!line->command.empty()) {
    std::fprintf(stderr, "siprof agent: takes no command; did you mean siprof run -- %s?\n",
                 line->command[0].c_str());
    return 2;
  }
  setup.options = std::move(line->options);
  setup.state = state_folder(setup.environment);
  umask(077);
  raise_soft_limit(RLIMIT_NOFILE);  // some for each process
  if (setup.arguments.spawned) become_a_good_neighbour();
  const absl::Status state = prepare_state_folder(setup.state);
  const absl::Status log = open_log(setup.options.log, state.ok() ? log_file(setup) : "");
  if (!state.ok()) spdlog::warn("no state folder: {}", state.ToString());
  if (!log.ok()) spdlog::warn("no log file: {}", log.ToString());
  for (const std::string& warning : setup.options.warnings) spdlog::warn("{}", warning);
  install_bus_guard();

  RawMessage first;
  if (setup.arguments.attach_fd >= 0) {
    absl::StatusOr<RawMessage> message = receive_message(setup.arguments.attach_fd);
    if (message.ok()) first = *std::move(message);
    close(setup.arguments.attach_fd);
  }
  std::string path = setup.options.agent_socket;
  if (path.empty()) path = setup.state + "/agent-default.sock";
  absl::StatusOr<Listener> listener =
      Listener::open(setup.arguments.abstract_name, path, setup.arguments.socket_mode);
  if (absl::IsAlreadyExists(listener.status()) && setup.arguments.spawned)
    return hand_over(setup.arguments, path, first);
  if (!listener.ok()) {
    std::fprintf(stderr, "siprof agent: %s\n", std::string(listener.status().message()).c_str());
    return 2;
  }
  if (!setup.arguments.spawned)
    std::fprintf(stderr, "siprof agent: processes join with SIPROF_AGENT_SOCKET=%s\n", path.c_str());
  return serve(setup, *std::move(listener), std::move(first));
}

}  // namespace siprof::client
