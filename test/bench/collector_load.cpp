// SPDX-License-Identifier: Apache-2.0
// Load on a collector: simulated agents over real streams, five profiles each per
// window by default, and what the collector makes of it.
//
//   collector_load --agents 200 --seconds 60 --target 127.0.0.1:9460 --pid $(pidof siprof-collector) --store
//   DIR
//
// With --past SECONDS so much history is sent at once before, for tests of what shows it.
// Ends with 1 if anything was refused or wasn't acknowledged in the end.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "test/bench/load_agent.h"
#include "test/bench/load_metrics.h"
#include "test/bench/load_profiles.h"

namespace siprof::bench {
namespace {

struct Options {
  std::string target = "127.0.0.1:9460";
  std::string token;
  std::string store;
  int agents = 200;
  int seconds = 60;
  int profiles = 5;
  int window_seconds = 10;
  int past_seconds = 0;
  int services = 8;
  int distinct = 8;
  int processes = 0;
  int pid = 0;
};

struct Usage {
  double cpu_seconds = 0;
  std::uint64_t rss_kib = 0, peak_kib = 0, store_bytes = 0;
};

std::uint64_t status_kib(int pid, const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1));
  }
  return 0;
}

double cpu_seconds(int pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string all((std::istreambuf_iterator<char>(file)), {});
  // Fields count from behind the name, which may hold anything but ends at the last ')'.
  std::istringstream fields(all.substr(std::min(all.size(), all.rfind(')') + 1)));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::uint64_t folder_bytes(const std::string& folder) {
  std::uint64_t bytes = 0;
  std::error_code gone;  // files may go while we look
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, gone)) {
    if (const auto size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0; !gone) bytes += size;
  }
  return bytes;
}

Usage usage(const Options& options) {
  Usage now;
  if (options.pid > 0) {
    now.cpu_seconds = cpu_seconds(options.pid);
    now.rss_kib = status_kib(options.pid, "VmRSS");
    now.peak_kib = status_kib(options.pid, "VmHWM");
  }
  if (!options.store.empty()) now.store_bytes = folder_bytes(options.store);
  return now;
}

template <typename Attributes>
void set_attributes(const ServiceProfiles& service, int agent, Attributes& attributes) {
  attributes["service.name"] = service.service;
  attributes["service.version"] = absl::StrCat("1.", agent % 3);
  attributes["host.name"] = absl::StrCat("host-", agent);
}

v1::AgentMessage message(const Options& options, const std::vector<ServiceProfiles>& services, int agent,
                         int nth, absl::Time end) {
  const ServiceProfiles& service = services[static_cast<std::size_t>(agent % options.services)];
  const auto kind = static_cast<std::size_t>(nth) % std::size(kKinds);
  v1::AgentMessage message;
  v1::Profile& profile = *message.mutable_profile();
  profile.set_kind(kKinds[kind]);
  const absl::Duration window = absl::Seconds(options.window_seconds);
  profile.set_start_unix_nanos(absl::ToUnixNanos(end - window));
  profile.set_duration_nanos(absl::ToInt64Nanoseconds(window));
  auto& counters = *profile.mutable_counters();
  counters["samples"] = kSamples;
  counters["sampling_hz"] = 100;
  set_attributes(service, agent, *profile.mutable_attributes());
  profile.set_pprof_gzip(
      service.gzipped[kind][static_cast<std::size_t>(agent + nth * 7) % service.gzipped[kind].size()]);
  return message;
}

std::vector<std::unique_ptr<LoadAgent>> connect(const Options& options) {
  std::random_device random;
  const auto run = absl::StrFormat("%08x%08x%08x", random(), random(), random());
  std::vector<std::unique_ptr<LoadAgent>> agents;
  for (int i = 0; i < options.agents; ++i) {
    agents.push_back(
        std::make_unique<LoadAgent>(options.target, options.token, absl::StrFormat("%s%08x", run, i)));
  }
  return agents;
}

// One window of one agent, which ended at `end`.
void send_window(const Options& options, const std::vector<ServiceProfiles>& services, LoadAgent& to,
                 int agent, int window, absl::Time end) {
  for (int i = 0; i < options.profiles; ++i)
    to.send(message(options, services, agent, window * options.profiles + i, end));
  if (options.processes == 0) return;
  v1::AgentMessage metrics;
  *metrics.mutable_metrics() =
      make_metrics(agent, options.processes, end, absl::Seconds(options.window_seconds));
  set_attributes(services[static_cast<std::size_t>(agent % options.services)], agent,
                 *metrics.mutable_metrics()->mutable_attributes());
  to.send(std::move(metrics));
}

void send_past(const Options& options, const std::vector<ServiceProfiles>& services,
               std::vector<std::unique_ptr<LoadAgent>>& agents) {
  const int windows = options.past_seconds / options.window_seconds;
  const absl::Time now = absl::Now();
  for (int window = 0; window < windows; ++window) {
    const absl::Time end = now - absl::Seconds(options.window_seconds) * (windows - 1 - window);
    for (int agent = 0; agent < options.agents; ++agent)
      send_window(options, services, *agents[static_cast<std::size_t>(agent)], agent, window, end);
  }
}

// Agent i sends at its own share of the window, as agents with a pushed phase do.
void send_all(const Options& options, const std::vector<ServiceProfiles>& services,
              std::vector<std::unique_ptr<LoadAgent>>& agents) {
  const absl::Duration step = absl::Seconds(options.window_seconds) / options.agents;
  const int windows = std::max(1, options.seconds / options.window_seconds);
  const absl::Time start = absl::Now();
  for (int window = 0; window < windows; ++window) {
    for (int agent = 0; agent < options.agents; ++agent) {
      absl::SleepFor(start + step * (window * options.agents + agent) - absl::Now());
      send_window(options, services, *agents[static_cast<std::size_t>(agent)], agent, window, absl::Now());
    }
  }
  absl::SleepFor(start + step * (windows * options.agents) - absl::Now());
}

LoadResult sum(const std::vector<std::unique_ptr<LoadAgent>>& agents) {
  LoadResult all;
  for (const auto& agent : agents) {
    const LoadResult one = agent->result();
    all.ack_seconds.insert(all.ack_seconds.end(), one.ack_seconds.begin(), one.ack_seconds.end());
    all.sent += one.sent;
    all.sent_bytes += one.sent_bytes;
    all.sent_points += one.sent_points;
    all.stored += one.stored;
    all.other_acks += one.other_acks;
    all.unacknowledged += one.unacknowledged;
    if (!one.error.empty()) all.error = one.error;
  }
  std::ranges::sort(all.ack_seconds);
  return all;
}

// Until all are there, or none came for so long that none will.
void wait_for_acks(const std::vector<std::unique_ptr<LoadAgent>>& agents) {
  std::size_t left = 0;
  absl::Time end;
  while (const std::size_t now = sum(agents).unacknowledged) {
    if (now != left) end = absl::Now() + absl::Seconds(15);
    if (absl::Now() > end) return;
    left = now;
    absl::SleepFor(absl::Milliseconds(50));
  }
}

double quantile_ms(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return 1'000 * sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

void print(const Options& options, const LoadResult& load, double seconds, const Usage& before,
           const Usage& after) {
  std::printf(
      "sent        %lu profiles, %.1f a second, %.1f KiB each gzipped\n", load.sent,
      static_cast<double>(load.sent) / seconds,
      static_cast<double>(load.sent_bytes) / 1'024 / std::max<double>(1, static_cast<double>(load.sent)));
  if (options.processes > 0)
    std::printf("            among them messages with %lu points of metrics\n", load.sent_points);
  std::printf("stored      %lu, other answers %lu\n", load.stored, load.other_acks);
  std::printf("ack         p50 %.0f ms, p99 %.0f ms, max %.0f ms\n", quantile_ms(load.ack_seconds, 0.5),
              quantile_ms(load.ack_seconds, 0.99), quantile_ms(load.ack_seconds, 1));
  std::printf("unacknowledged when the last was sent: %zu\n", load.unacknowledged);
  if (options.pid > 0) {
    std::printf("collector   %.1f %% of a CPU, %.2f ms a profile, RSS %lu MiB, peak %lu MiB\n",
                100 * (after.cpu_seconds - before.cpu_seconds) / seconds,
                1'000 * (after.cpu_seconds - before.cpu_seconds) /
                    std::max<double>(1, static_cast<double>(load.stored)),
                after.rss_kib / 1'024, after.peak_kib / 1'024);
  }
  if (!options.store.empty() && load.stored > 0) {
    std::printf(
        "store       %.0f bytes a profile\n",
        static_cast<double>(after.store_bytes - before.store_bytes) / static_cast<double>(load.stored));
  }
}

int run(const Options& options) {
  std::vector<ServiceProfiles> services;
  for (int i = 0; i < options.services; ++i) services.push_back(make_service_profiles(i, options.distinct));
  auto agents = connect(options);
  const Usage before = usage(options);
  const absl::Time start = absl::Now();
  send_past(options, services, agents);
  if (options.seconds > 0) send_all(options, services, agents);
  const LoadResult at_end = sum(agents);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  wait_for_acks(agents);
  const Usage after = usage(options);
  LoadResult load = sum(agents);
  const std::size_t lost = load.unacknowledged;
  load.unacknowledged = at_end.unacknowledged;
  print(options, load, seconds, before, after);
  for (const auto& agent : agents) agent->stop();
  if (!load.error.empty()) std::fprintf(stderr, "collector_load: %s\n", load.error.c_str());
  if (lost > 0) std::fprintf(stderr, "collector_load: %zu profiles never acknowledged\n", lost);
  return lost == 0 && load.error.empty() && load.stored == load.sent ? 0 : 1;
}

}  // namespace
}  // namespace siprof::bench

int main(int count, char** arguments) {
  siprof::bench::Options options;
  CLI::App app("Simulated agents for siprof-collector");
  app.add_option("--target", options.target, "address of the collector's gRPC port");
  app.add_option("--token", options.token, "agent token");
  app.add_option("--agents", options.agents)->check(CLI::Range(1, 100'000));
  app.add_option("--seconds", options.seconds, "in whole windows")->check(CLI::Range(0, 86'400));
  app.add_option("--past", options.past_seconds, "history to send at once before")
      ->check(CLI::Range(0, 86'400));
  app.add_option("--profiles", options.profiles, "of one agent in a window")->check(CLI::Range(1, 1'000));
  app.add_option("--metrics", options.processes, "runtime metrics of so many processes an agent and window")
      ->check(CLI::Range(0, 1'000));
  app.add_option("--window", options.window_seconds, "seconds")->check(CLI::Range(1, 3'600));
  app.add_option("--services", options.services)->check(CLI::Range(1, 1'000));
  app.add_option("--pid", options.pid, "of the collector: its CPU and memory");
  app.add_option("--store", options.store, "the collector's folder: bytes a profile");
  CLI11_PARSE(app, count, arguments);
  return siprof::bench::run(options);
}
