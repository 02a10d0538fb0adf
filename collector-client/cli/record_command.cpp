// SPDX-License-Identifier: Apache-2.0
// `siprof record`: runs CMD with an agent of its own inside this process, writes one
// pprof file per kind and ends as CMD ended.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "absl/strings/str_join.h"
#include "collector-client/agent/agent.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/log.h"
#include "collector-client/cli/exporter_settings.h"
#include "collector-client/cli/launch.h"
#include "collector-client/cli/run_command.h"
#include "collector-client/cli/shim_path.h"
#include "collector-client/cli/state_folder.h"
#include "collector-client/export/exporters.h"
#include "collector-client/pprof/counters.h"
#include "collector-client/pprof/headline.h"
#include "collector-client/pprof/profile_builder.h"
#include "collector-client/pprof/summary.h"
#include "collector-client/symbolize/bus_guard.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kFlushWait = absl::Minutes(5);  // names of huge programs take time
constexpr int kForwarded[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};
// From the terminal these reach CMD without us.
constexpr int kIgnored[] = {SIGINT, SIGQUIT};

std::atomic<pid_t> g_command{0};

void forward_signal(int signal, siginfo_t* info, void*) {
  const pid_t command = g_command.load(std::memory_order_relaxed);
  // From the kernel (a terminal's) CMD gets it too; from a process only we did.
  if (command > 0 && info->si_code <= 0) kill(command, signal);
}

void handle_signals() {
  struct sigaction forward {};
  forward.sa_sigaction = forward_signal;
  forward.sa_flags = SA_SIGINFO | SA_RESTART;
  for (const int signal : kForwarded) sigaction(signal, &forward, nullptr);
  for (const int signal : kIgnored) sigaction(signal, &forward, nullptr);
}

// Once CMD is gone its pid may be another's, and Ctrl-C means us: that we stop finishing.
void leave_signals_alone() {
  g_command.store(0, std::memory_order_relaxed);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

// A folder of this run alone, for the socket. Removed at the end.
class RunFolder {
 public:
  static absl::StatusOr<RunFolder> make() {
    char path[] = "/tmp/siprof-record-XXXXXX";
    if (mkdtemp(path) == nullptr) return system_error(errno, "cannot make", path);
    RunFolder folder;
    folder.path_ = path;
    return folder;
  }
  RunFolder(RunFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder() {
    if (!path_.empty()) rmdir(path_.c_str());
  }
  std::string socket() const { return path_ + "/agent.sock"; }

 private:
  RunFolder() = default;
  std::string path_;
};

struct Recording {
  Options options;
  std::vector<std::string> command;
  Environment environment;
  std::string folder;
};

// "-o DIR" is record's own name of --output.
// Only before CMD: its own -o is its own.
std::vector<std::string> with_long_output(std::vector<std::string> arguments) {
  bool is_value = false;
  for (std::string& word : arguments) {
    if (is_value) {
      is_value = false;
      continue;
    }
    if (word == "--" || !word.starts_with("-")) break;
    if (word == "-o") word = "--output";
    is_value = word.find('=') == std::string::npos && word != "--help";
  }
  return arguments;
}

int fail(const std::string& why) {
  std::fprintf(stderr, "siprof record: %s\n", why.c_str());
  return 2;
}

pid_t start_command(const Recording& recording) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  const int status = execute(recording.command, recording.environment, "record");
  _exit(status);
}

// Waits for CMD alone: what it leaves running isn't waited for.
// It isn't reaped yet: the agent reads from /proc what it has used to its end.
int wait_for(pid_t child) {
  const auto id = static_cast<id_t>(child);
  siginfo_t end{};
  for (;;) {
    end = {};
    const int failed = waitid(P_PID, id, &end, WEXITED | WSTOPPED | WNOWAIT);
    if (failed != 0 && errno == EINTR) continue;
    if (failed != 0) return 1;
    if (end.si_code != CLD_STOPPED) break;
    // As a shell's job: stop with it, go on with it.
    siginfo_t told{};
    waitid(P_PID, id, &told, WSTOPPED | WNOHANG);
    raise(SIGSTOP);
    kill(child, SIGCONT);
  }
  return end.si_code == CLD_EXITED ? end.si_status : 128 + end.si_status;
}

// Of all kinds but CPU, in the counters of whichever has them.
std::uint64_t lost_events(const perftools::profiles::Profile& profile) {
  std::uint64_t sum = 0;
  for (const std::int64_t id : profile.comment()) {
    const auto counter = parse_counter_comment(profile.string_table(static_cast<int>(id)));
    if (counter && (counter->first == "lost_events_pool_full" || counter->first == "lost_events_unattached"))
      sum += counter->second;
  }
  return sum;
}

void print_summary(const Recording& recording, int status) {
  bool any = false;
  std::uint64_t lost = 0;
  for (const std::string& name : recording.options.kinds) {
    const std::optional<Kind> kind = find_kind(name);
    if (!kind) continue;  // metrics have no profile
    const std::string path = recording.folder + "/" + name + ".pb.gz";
    const absl::StatusOr<std::string> bytes = read_file(path, 256u << 20);
    if (!bytes.ok()) continue;
    const absl::StatusOr<perftools::profiles::Profile> profile = unpack_profile(*bytes);
    if (!profile.ok()) continue;
    lost += lost_events(*profile);
    if (profile->sample_size() == 0) continue;
    any = true;
    const Summary summary = summarize(*profile, listed_type(*kind));
    std::fprintf(stderr, "siprof record: %s: %s in %s\n%s", path.c_str(), headline(*kind, *profile).c_str(),
                 recording.command[0].c_str(), summary_table(summary, 10).c_str());
  }
  if (lost != 0) {
    std::fprintf(stderr,
                 "siprof record: %s samples of memory, locks, calls or waits were lost, most of them as the "
                 "process started or in "
                 "a burst (lost_events_… in metrics.json): what is shown may be too low\n",
                 format_value(static_cast<std::int64_t>(lost), "count").c_str());
  }
  constexpr int kCannotExecute = 126;  // and 127: the launch has said why
  if (any || status == kCannotExecute || status == kCannotExecute + 1) return;
  if (recording.options.kinds == std::vector<std::string>{"metrics"}) return;  // they have no samples
  const std::string kinds = absl::StrJoin(recording.options.kinds, ", ");
  if (std::ranges::find(recording.options.kinds, "cpu") == recording.options.kinds.end()) {
    std::fprintf(stderr,
                 "siprof record: no samples: nothing of the kinds %s happened in %s, or it can't be "
                 "profiled; 'siprof doctor "
                 "-- CMD' tells\n",
                 kinds.c_str(), recording.command[0].c_str());
    return;
  }
  std::fprintf(
      stderr,
      "siprof record: no samples: %s used less CPU time than one stands for (%s at %u Hz), or can't be "
      "profiled; 'siprof doctor -- CMD' tells\n",
      recording.command[0].c_str(), format_value(1'000'000'000 / recording.options.hz, "nanoseconds").c_str(),
      recording.options.hz);
}

int record(const Recording& recording, const RunFolder& run) {
  absl::StatusOr<std::unique_ptr<Exporter>> exporter =
      make_exporter(exporter_settings(recording.options, Output::kMerged), {});
  if (!exporter.ok()) return fail(std::string(exporter.status().message()));
  absl::StatusOr<Listener> listener = Listener::open("", run.socket(), 0600);
  if (!listener.ok()) return fail(std::string(listener.status().message()));

  // Before any thread: fork copies only the one that calls it.
  const pid_t child = start_command(recording);
  if (child < 0) return fail(std::string("cannot fork: ") + strerror(errno));
  g_command.store(child, std::memory_order_relaxed);
  handle_signals();
  raise_soft_limit(RLIMIT_NOFILE);  // ours alone: CMD has its own by now

  AgentSettings settings;
  settings.window = recording.options.window;
  settings.budget_share = recording.options.budget_share;
  settings.ended_levels = MetricWindow::EndedLevels::kAll;  // metrics.json tells processes apart
  const std::string state = state_folder(own_environment());
  settings.native_frames = recording.options.native_frames;
  settings.symbols.cache_folder = state + "/symbols";
  settings.table_folder = state + "/tables";
  const auto run_id = recording.environment.find("SIPROF_RUN_ID");
  if (run_id != recording.environment.end()) settings.run_id = run_id->second;
  int status = 0;
  {
    Agent agent(settings, *std::move(listener), **exporter);
    std::thread loop([&agent] { agent.run({}); });
    status = wait_for(child);
    leave_signals_alone();
    agent.stop();
    loop.join();
  }
  waitpid(child, nullptr, WNOHANG);
  const absl::Status flushed = (*exporter)->flush(absl::Now() + kFlushWait);
  if (!flushed.ok()) std::fprintf(stderr, "siprof record: %s\n", std::string(flushed.message()).c_str());
  print_summary(recording, status);
  return !flushed.ok() && status == 0 ? 1 : status;
}

}  // namespace

int run_record(int argc, char** argv) {
  const Environment environment = own_environment();
  absl::StatusOr<CommandLine> line =
      parse_command_line(with_long_output({argv + 1, argv + argc}), environment);
  if (!line.ok()) return fail(std::string(line.status().message()));
  if (line->help) {
    std::printf("usage: siprof record [OPTIONS] -o DIR [--] CMD ARG...\n\n%s", options_help().c_str());
    return 0;
  }
  if (line->command.empty()) return fail("no command; write siprof record -o DIR -- CMD ARG...");
  if (line->options.output.empty()) return fail("no folder to write into; write -o DIR");
  const absl::StatusOr<std::string> shim = find_shim();
  if (!shim.ok()) return fail(std::string(shim.status().message()));
  absl::StatusOr<RunFolder> run = RunFolder::make();
  if (!run.ok()) return fail(std::string(run.status().message()));

  const absl::Status log = open_log(line->options.log, "");
  if (!log.ok()) return fail(std::string(log.message()));
  for (const std::string& warning : line->options.warnings) spdlog::warn("{}", warning);
  install_bus_guard();
  Recording recording{line->options, line->command, {}, line->options.output};
  Options handed_on = line->options;
  handed_on.given["SIPROF_AGENT_SOCKET"] = run->socket();
  handed_on.given.erase("SIPROF_OUTPUT");
  recording.environment = with_shim(environment, *shim, handed_on);
  return record(recording, *run);
}

}  // namespace siprof::client
