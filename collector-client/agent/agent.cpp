// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/agent.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "collector-client/agent/libc_version.h"
#include "collector-client/agent/window_schedule.h"
#include "collector-client/base/clock.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kShortestDrain = absl::Milliseconds(50);
constexpr absl::Duration kUsualDrain = absl::Milliseconds(250);  // while samples come
// Between two times that processes hear of new tables.
constexpr absl::Duration kTablesPause = absl::Milliseconds(5);
constexpr absl::Duration kLongestDrain = absl::Seconds(1);
constexpr absl::Duration kShortestWindow = absl::Seconds(1);  // of those that need not end yet
constexpr absl::Duration kBeatEvery = absl::Milliseconds(500);
constexpr absl::Duration kBudgetEvery = absl::Seconds(1);

// Now, not at its peak. 0: /proc isn't there.
std::uint64_t own_rss_bytes() {
  const absl::StatusOr<std::string> text = read_file("/proc/self/statm", 4096);
  const std::vector<std::string_view> pages = text.ok() ? split(*text, ' ') : std::vector<std::string_view>();
  std::uint64_t resident = 0;
  if (pages.size() < 2 || !absl::SimpleAtoi(to_absl(pages[1]), &resident)) return 0;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// Of a list of names; what isn't one counts for nothing (the collector has checked it).
std::uint32_t kinds_in(std::string_view list) {
  std::uint32_t kinds = 0;
  for (const std::string_view name : split(list, ',')) {
    if (const std::optional<Kind> kind = find_kind(name)) kinds |= kind_bit(event_of(*kind));
    if (name == "metrics") kinds |= kMetricsBit;
  }
  return kinds;
}

// "1%" or "off"; the collector has checked it.
std::optional<double> share_in(std::string_view text, std::optional<double> otherwise) {
  if (text == "off") return std::nullopt;
  double percent = 0;
  if (!strip_suffix(&text, "%") || !absl::SimpleAtod(to_absl(text), &percent)) return otherwise;
  return std::clamp(percent, 0.001, 100.0) / 100;
}

}  // namespace

Agent::Agent(AgentSettings settings, Listener listener, Exporter& exporter)
    : settings_(std::move(settings)),
      listener_(std::move(listener)),
      exporter_(exporter),
      clock_(*settings_.clock),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      tables_({.cache_folder = settings_.table_folder, .made = [this] { wake(); }}),
      aggregator_(clock_.now()),
      metrics_(settings_.ended_levels),
      last_cut_(steady_now()),
      next_cut_(last_cut_ + until_window_start(aggregator_.start())),
      next_beat_(steady_now()),
      last_busy_(steady_now()),
      own_cpu_ns_(cpu_time_ns(CLOCK_PROCESS_CPUTIME_ID)),
      next_budget_(steady_now() + kBudgetEvery),
      finisher_(std::make_unique<Finisher>(settings_.symbols, python_functions_, exporter)) {}

Agent::~Agent() = default;

bool Agent::is_stopping() const {
  return stopping_.load(std::memory_order_acquire);  // pairs with the release in stop
}

void Agent::stop() {
  stopping_.store(true, std::memory_order_release);  // pairs with the acquire in is_stopping
  wake();
}

void Agent::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

void Agent::run(RawMessage first) {
  // Who handed it over is our own parent: the same user.
  if (!first.bytes.empty()) attach(std::move(first), {geteuid(), 0});
  loop_cpu_ns_ = cpu_time_ns(CLOCK_THREAD_CPUTIME_ID);
  do {
    while (!is_stopping() && !should_end()) turn();
    close_doors();
    // Who stood there already is served to his end: what he would write later was lost.
  } while (!is_stopping() && !(sessions_.empty() && waiting_.empty()));
  finish();
}

// For the next process to start an agent of its own, rather than to wait for one that only
// sends what it has. Nobody who was let in is turned out: what waits at the door is heard.
void Agent::close_doors() {
  listener_.refuse_newcomers();
  accept_all();
  listener_ = Listener();
}

void Agent::finish() {
  for (auto& session : sessions_) session->drain(session->ended());
  cut_if_due(/*now=*/true);
  replies_.send_some(steady_now());
  if (!finisher_->wait(settings_.finish_within)) {
    spdlog::warn("names are not found within {} s: the rest goes by its files' names",
                 absl::ToInt64Seconds(settings_.finish_within));
    finisher_->hurry();
  }
  finisher_.reset();
  for (auto& session : sessions_) session->settle();
}

absl::Time Agent::steady_now() const {
  return steady_time(clock_);
}

absl::Duration Agent::until_window_start(absl::Time wall) const {
  return next_window_start(wall, settings_.window, in_force_.phase()) - wall;
}

void Agent::turn() {
  poll_for(until_next_wake());
  accept_all();
  replies_.send_some(steady_now());
  apply_configuration();
  show_tables();
  drain_due();
  keep_budgets();
  const absl::Time now = steady_now();
  if (now >= next_beat_) {
    for (auto& session : sessions_) session->beat();
    next_beat_ = now + kBeatEvery;
  }
  cut_if_due(/*now=*/false);
  if (finisher_->idle()) {
    for (auto& session : sessions_) session->settle();
    forget_files();
  }
}

// Until a process hears of a table it copies stacks; when many are made one after the other it hears of some
// at a time.
void Agent::show_tables() {
  if (tables_.generation() == tables_shown_ || steady_now() - tables_shown_at_ < kTablesPause) return;
  tables_shown_ = tables_.generation();
  tables_shown_at_ = steady_now();
  for (auto& session : sessions_) session->follow_tables();
}

// Of programs that nobody runs any more: JITs and build hosts make new ones all the time.
// Once a window, when all that was cut is finished.
void Agent::forget_files() {
  if (std::exchange(files_forgotten_at_, last_cut_) == last_cut_) return;
  modules_.trim(modules_at_cut_);
  unwinder_.trim();
  python_functions_.trim(functions_at_cut_);
  absl::flat_hash_set<const Module*> idle = modules_.idle_since(modules_at_cut_);
  for (const Module* module : aggregator_.main_executables()) idle.erase(module);
  if (idle.empty() || !finisher_->forget(idle)) return;
  unwinder_.forget(idle);
  tables_.forget(idle);
  forget_libc_versions(idle);
  python_modules_.forget(idle);
  modules_.evict(idle);
}

absl::Duration Agent::until_next_wake() {
  // Nothing to beat for: sleep until somebody comes.
  if (sessions_.empty()) return waiting_.empty() ? kLongestDrain : kShortestDrain;
  absl::Time when = std::min(next_beat_, next_cut_);
  for (const auto& session : sessions_) when = std::min(when, session->next_drain);
  if (tables_.generation() != tables_shown_) when = std::min(when, tables_shown_at_ + kTablesPause);
  return when - steady_now();
}

void Agent::poll_for(absl::Duration time) {
  std::vector<pollfd> fds;
  fds.push_back({wake_.get(), POLLIN, 0});
  // Who cannot be accepted must not wake us all the time.
  const short wanted = steady_now() < accept_again_ ? 0 : POLLIN;
  for (const UniqueFd& socket : listener_.sockets()) fds.push_back({socket.get(), wanted, 0});
  for (const Waiting& waiting : waiting_) fds.push_back({waiting.connection.fd.get(), POLLIN, 0});
  for (const auto& session : sessions_) {
    if (session->pid_fd() >= 0) fds.push_back({session->pid_fd(), POLLIN, 0});
  }
  replies_.add_to(&fds);
  const std::int64_t ms = std::clamp<std::int64_t>(absl::ToInt64Milliseconds(time) + 1, 0, 60'000);
  if (poll(fds.data(), fds.size(), static_cast<int>(ms)) < 0) return;
  std::uint64_t ignored = 0;
  [[maybe_unused]] const ssize_t got = read(wake_.get(), &ignored, sizeof(ignored));
}

void Agent::drain_due() {
  const absl::Time now = steady_now();
  for (std::size_t i = sessions_.size(); i-- > 0;) {
    Session& session = *sessions_[i];
    const bool ended = session.ended();
    if (ended) {
      end_session(i);
      continue;
    }
    if (now < session.next_drain) continue;
    const std::uint64_t samples = session.drain(/*final=*/false);
    session.drain_every = std::min(session.drain_every * 2, session.is_in_a_hurry() ? kShortestDrain
                                                            : samples != 0          ? kUsualDrain
                                                                                    : kLongestDrain);
    session.next_drain = now + session.drain_every;
  }
  if (!sessions_.empty()) last_busy_ = now;
}

void Agent::end_session(std::size_t index) {
  Session& session = *sessions_[index];
  session.drain(/*final=*/true);
  session.account();
  ended_[session.series()] = session.main_kind();
  openers_[session.number()] = session.name_place();
  spdlog::info("process {} ({}) ended, {} samples", session.view().message().pid, session.service(),
               session.samples());
  sessions_.erase(sessions_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Agent::cut_if_due(bool now) {
  const absl::Time time = steady_now();
  // With nobody left there is no reason to wait for the window's end. But programs that come
  // and go all the time must not make more windows than can be finished.
  const bool all_gone =
      sessions_.empty() && aggregator_.distinct_samples() != 0 && time - last_cut_ >= kShortestWindow;
  if (!now && !all_gone && time < next_cut_) return;
  for (auto& session : sessions_) {
    session->drain(/*final=*/false);
    session->account();
    openers_[session->number()] = session->name_place();
  }
  account_for_self();
  // Only where a window starts is read off the wall clock, which may be set at any time. Both clocks are read
  // after the draining: with a moment from before it the next window would end too early by as much as that
  // took, and one of milliseconds would follow.
  const absl::Time wall = clock_.now();
  const absl::Time steady_at_wall = steady_now();
  const absl::Duration lasted = steady_at_wall - last_cut_;
  std::vector<FinishedMetrics> metrics = metrics_.cut(aggregator_.start(), lasted);
  finisher_->submit(aggregator_.cut(lasted, wall), std::exchange(openers_, {}), std::move(metrics));
  for (auto& session : sessions_) session->refresh();
  last_cut_ = steady_at_wall;
  next_cut_ = steady_at_wall + until_window_start(wall);
  modules_at_cut_ = modules_.moment();
  functions_at_cut_ = python_functions_.moment();
}

// Shared out evenly over what it worked for: a sum over series is the agent's cost. What
// the symbol workers cost is added when they have worked (finisher.cpp).
void Agent::account_for_self() {
  const std::uint64_t cpu = cpu_time_ns(CLOCK_PROCESS_CPUTIME_ID);
  const std::uint64_t rss = own_rss_bytes();
  std::map<std::shared_ptr<const Series>, Kind> series = std::exchange(ended_, {});
  for (const auto& session : sessions_) series[session->series()] = session->main_kind();
  for (const auto& [one, kind] : series) {
    aggregator_.count(one, kind, "agent_cpu_ns", (cpu - own_cpu_ns_) / series.size());
    aggregator_.state(one, kind, "agent_rss_bytes", rss);
  }
  own_cpu_ns_ = cpu;
}

void Agent::configure(const v1::Configuration& configuration) {
  const std::lock_guard lock(configuration_mutex_);
  configuration_ = configuration;
  has_new_configuration_ = true;
}

void Agent::apply_configuration() {
  {
    const std::lock_guard lock(configuration_mutex_);
    if (!has_new_configuration_) return;
    has_new_configuration_ = false;
    in_force_ = configuration_;
  }
  spdlog::info("configuration {} of the collector is in force", in_force_.generation());
  for (auto& session : sessions_) apply_to(*session);
}

// Shared out by what was drained of each: what isn't by the sample is small.
void Agent::keep_budgets() {
  const absl::Time now = steady_now();
  if (now < next_budget_) return;
  next_budget_ = now + kBudgetEvery;
  const std::uint64_t cpu = cpu_time_ns(CLOCK_THREAD_CPUTIME_ID);
  const std::uint64_t used = cpu - std::exchange(loop_cpu_ns_, cpu);
  std::uint64_t samples = 0;
  for (const auto& session : sessions_) samples += session->samples_unpaid();
  for (const auto& session : sessions_)
    session->keep_budget(samples == 0 ? used / sessions_.size() : used * session->samples_unpaid() / samples);
}

void Agent::apply_to(Session& session) {
  std::optional<double> budget_share = settings_.budget_share;
  Rates rates = session.view().message().rates;
  for (const v1::ServiceConfiguration& service : in_force_.services()) {
    if (!service.service().empty() && service.service() != session.service()) continue;
    if (service.has_hz()) rates.hz = service.hz();
    if (service.has_heap_interval_bytes()) rates.heap_interval_bytes = service.heap_interval_bytes();
    if (service.has_block_interval_nanos()) rates.block_interval_ns = service.block_interval_nanos();
    if (service.has_kinds()) rates.kinds = kinds_in(service.kinds());
    if (service.has_budget()) budget_share = share_in(service.budget(), budget_share);
    break;
  }
  session.ask_for(rates, budget_share);
}

bool Agent::should_end() {
  if (!sessions_.empty() || !waiting_.empty()) return false;
  if (listener_.sockets().empty()) return true;  // nobody else can come
  return steady_now() - last_busy_ > settings_.linger;
}

}  // namespace siprof::client
