// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/session.h"

#include <algorithm>
#include <utility>

#include "collector-client/agent/libc_version.h"
#include "collector-client/base/tick_scale.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kCpuTimePause = absl::Milliseconds(250);
constexpr absl::Duration kThreadsPause = absl::Seconds(1);  // between two looks for threads that ended
constexpr absl::Duration kStartTime = absl::Seconds(3);  // of a process, that isn't held against its budget
constexpr std::size_t kMostLooks = 16;                   // at living ones, each time
constexpr std::size_t kMostThreadNames = 65536;

constexpr const char* kCounterNames[] = {
#define SIPROF_COUNTER_NAME(name, help) #name,
    SIPROF_COUNTERS(SIPROF_COUNTER_NAME)
#undef SIPROF_COUNTER_NAME
};

// What the process or a collector says.
Rates within_bounds(Rates rates) {
  rates.hz = std::clamp<std::uint32_t>(rates.hz, 1, 1000);
  rates.kinds &= kAllKinds | kMetricsBit;
  rates.heap_interval_bytes = std::clamp<std::uint64_t>(rates.heap_interval_bytes, 1, std::uint64_t{1} << 40);
  rates.error_interval = std::clamp<std::uint64_t>(rates.error_interval, 1, 1'000'000'000);
  rates.block_interval_ns = std::clamp<std::uint64_t>(rates.block_interval_ns, 1'000, 60'000'000'000);
  return rates;
}

// Sessions begin on one thread.
std::uint64_t next_number() {
  static std::uint64_t last = 0;
  return ++last;
}

}  // namespace

Session::Session(ProcessView view, std::unique_ptr<SharedPool> pool, const Workshop& workshop)
    : next_drain(absl::InfinitePast()),
      drain_every(absl::Milliseconds(50)),
      number_(next_number()),
      view_(std::move(view)),
      pool_(std::move(pool)),
      workshop_(workshop),
      code_(view_, *pool_, workshop.modules, workshop.tables, workshop.clock),
      reader_(pool_->chunks(), pool_->chunk_count()),
      python_(*pool_, workshop.python, view_.opener(),
              native_frames_of(view_.environment(), workshop.native_frames, &warnings_), view_.message().pid),
      waiting_(python_, [this](const RawSample& sample, UnwoundStack& stack,
                               const Stack& holder) { finish_sample(sample, stack, holder); }),
      intakes_({*pool_, workshop.modules, workshop.python.functions, rates_, number_, view_.message().pid}),
      is_new_(view_.message().attached_before == 0),
      wanted_(within_bounds(view_.message().rates)),
      rates_(wanted_),
      budget_(std::nullopt),
      begun_(steady_time(workshop_.clock)),
      spending_since_(begun_),
      inherited_ticks_(std::min(pool_->unsettled_ticks(), kMostLostTicks)) {
  reader_.set_python_sink([this](const PythonCodePart& part) { python_.define(part); });
  follow_python();
}

absl::StatusOr<std::unique_ptr<Session>> Session::begin(AttachRequest request, const Workshop& workshop,
                                                        const std::string& run_id) {
  absl::StatusOr<std::unique_ptr<SharedPool>> pool = SharedPool::map(request.memory.get());
  if (!pool.ok()) return pool.status();
  request.memory.reset();
  std::unique_ptr<Session> session(new Session(ProcessView(std::move(request)), *std::move(pool), workshop));
  session->beat();
  // Until it hears of it, a process ticks to attach, whatever it is asked for.
  if ((session->rates_.kinds & kTickingKinds) == 0) session->pool_->control(session->rates_);
  session->find_identity(run_id);
  session->cpu_time_ns_ = session->cpu_time_paid_ns_ = session->view_.cpu_time_ns().value_or(0);
  return session;
}

void Session::take_over_mappings(const Session& before) {
  code_.take_over(before.code_);
  is_new_ = false;
  follow_python();
}

// Where its interpreter is, by the mappings that were read last.
void Session::follow_python() {
  python_.follow(code_.map(), code_.executable(), code_.unmap_generation());
  python_.look_for_refusal();
}

void Session::find_identity(const std::string& run_id) {
  ProcessFacts facts = view_.facts();
  facts.runtime_version = libc_version(code_.map());
  if (!python_.version().empty()) {
    facts.runtime_name = "CPython";
    facts.runtime_version = python_.version();
  }
  facts.run_id = run_id;
  const Attributes attributes = resource_of(facts, &warnings_);
  series_ = workshop_.aggregator.series(attributes, code_.executable());
  const auto service = attributes.find("service.name");
  service_ = service != attributes.end() ? service->second : "";
}

std::uint64_t Session::drain(bool final) {
  const std::uint64_t before = samples_;
  const std::size_t threads_before = thread_names_.size();
  observe_cpu_time(final);
  const std::uint64_t cpu = cpu_time_ns(CLOCK_THREAD_CPUTIME_ID);
  read_chains(final);
  spending_.drain_ns += cpu_time_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
  drained_to_the_end_ |= final;
  if (final) return samples_ - before;
  if (metrics_ != nullptr) metrics_->look_if_due();
  const bool mappings_changed = code_.follow();
  follow_python();
  reclaim_dead_threads();
  const std::uint32_t in_use = reader_.statistics().chunks_in_use;
  hurry_ = in_use > pool_->chunk_count() / 8 || thread_names_.size() > threads_before || mappings_changed;
  if (in_use > pool_->chunk_count() / 2 && pool_->grow()) reader_.set_chunks(pool_->chunk_count());
  return samples_ - before;
}

void Session::read_chains(bool final) {
  reader_.drain([this](const RawSample& sample) { add(sample); }, final);
  if (final)
    waiting_.finish();
  else
    waiting_.after_drain();
}

// A thread that lives and does nothing costs a look now and then, a few of them a second.
// Those of the dead go at once: their chunks may be all that is left.
void Session::reclaim_dead_threads() {
  const absl::Time now = steady_time(workshop_.clock);
  const bool pressed = reader_.statistics().chunks_in_use > pool_->chunk_count() / 2;
  if (!pressed && now - threads_looked_at_ < kThreadsPause) return;
  threads_looked_at_ = now;
  const std::vector<std::uint32_t> idle = reader_.idle_threads();
  std::size_t living = 0;
  for (std::size_t i = 0; i < idle.size() && living < kMostLooks; ++i) {
    const std::uint32_t tid = idle[next_look_++ % idle.size()];
    // A process that can't be looked into keeps its chunks: they may be in use.
    if (view_.has_thread(tid).value_or(true)) {
      ++living;
    } else {
      reader_.reclaim(tid, [this](const RawSample& sample) { add(sample); });
    }
  }
}

const std::string& Session::thread_name(std::uint32_t tid) {
  const auto known = thread_names_.find(tid);
  if (known != thread_names_.end()) return known->second;
  if (thread_names_.size() > kMostThreadNames) thread_names_.clear();
  return thread_names_.emplace(tid, view_.thread_name(tid)).first->second;
}

// Where counters of the whole process are: with the first kind that is on, so that none has a profile of
// counters alone because it is off.
Kind Session::main_kind() const {
  for (const KindInfo& kind : all_kinds()) {
    if (is_on(kind.kind)) return kind.kind;
  }
  return Kind::kCpu;
}

Kind Session::home_of(Counter counter) const {
  switch (counter) {
    case Counter::heap_live_dropped:
    case Counter::heap_live_forgotten:
      return is_on(Kind::kHeap) ? Kind::kHeap : main_kind();
    case Counter::throws:
    case Counter::rethrows:
    case Counter::python_raises:
      return is_on(Kind::kErrors) ? Kind::kErrors : main_kind();
    default:
      return main_kind();
  }
}

void Session::account() {
  // A window has all that was recorded in it: what is told by now, or never.
  if (!waiting_.empty()) read_chains(/*final=*/false);
  waiting_.finish();
  Aggregator& out = workshop_.aggregator;
  const SharedCounters now = pool_->counters();
  for (std::uint32_t i = 0; i < kCounterCount; ++i) {
    // Hostile memory may go backwards; a counter doesn't.
    if (now[i] > counted_[i])
      out.count(series_, home_of(static_cast<Counter>(i)), kCounterNames[i], now[i] - counted_[i]);
  }
  counted_ = now;
  accounted_ticks_ =
      inherited_ticks_ + added_ticks_ + counted_[static_cast<std::uint32_t>(Counter::lost_pool_full)];
  const DrainStatistics& drained = reader_.statistics();
  if (drained.malformed > drained_.malformed) {
    out.count(series_, main_kind(), "records_malformed", drained.malformed - drained_.malformed);
  }
  if (drained.abandoned > drained_.abandoned) {
    out.count(series_, main_kind(), "records_abandoned", drained.abandoned - drained_.abandoned);
  }
  drained_ = drained;
  for (const auto& [name, count] : code_.take_failures()) out.count(series_, main_kind(), name, count);
  for (const auto& [name, count] : python_.take_failures()) out.count(series_, main_kind(), name, count);
  if (const std::uint64_t more = std::exchange(modules_without_tables_, 0); more != 0)
    out.count(series_, main_kind(), "modules_without_tables", more);
  observe_cpu_time(/*now=*/true);
  for (const auto& intake : intakes_.all()) {
    IntakeOutput to(out, series_, intake->kind());
    intake->account(rates_, to);
    to.state("cost_permille", budget_.cost_permille());
    if (budget_.share_permille() != 0) to.state("budget_permille", budget_.share_permille());
    if (drained_to_the_end_) intake->finish(to);
  }
  if (metrics_ == nullptr) return;
  if (drained_to_the_end_)
    metrics_->report_end(series_);
  else
    metrics_->report(series_);
}

// Now and then also between windows: a process that has ended can't be asked any more.
void Session::observe_cpu_time(bool now) {
  const absl::Time time = steady_time(workshop_.clock);
  if (!now && time - cpu_time_at_ < kCpuTimePause) return;
  cpu_time_at_ = time;
  const std::optional<std::uint64_t> cpu = view_.cpu_time_ns();
  if (!cpu || *cpu <= cpu_time_ns_) return;
  workshop_.aggregator.count(series_, main_kind(), "cpu_proc_ns", *cpu - cpu_time_ns_);
  cpu_time_ns_ = *cpu;
}

void Session::count_lost_agent() {
  if (inherited_ticks_ == 0) return;
  pool_->count_lost_agent(inherited_ticks_);
  warnings_.push_back("its agent is gone, " + std::to_string(inherited_ticks_) +
                      " ticks of CPU time with it");
}

void Session::beat() {
  pool_->beat(static_cast<std::uint64_t>(workshop_.clock.monotonic_ns()));
  pool_->set_tick_scale(tick_scale());
}

void Session::ask_for(const Rates& rates, std::optional<double> budget_share) {
  wanted_ = within_bounds(rates);
  budget_.set_share(budget_share);
  control(budget_.within(wanted_));
  switch_metrics();
}

// Switched on again they count from then on; of the window in which they are switched off nothing is told.
void Session::switch_metrics() {
  const bool on = (rates_.kinds & kMetricsBit) != 0;
  const bool is_new = std::exchange(is_new_, false);
  if (on == (metrics_ != nullptr)) return;
  metrics_.reset();
  if (!on) return;
  const MetricSubject subject{view_.proc_fd(), *pool_, workshop_.clock, is_new};
  metrics_ = std::make_unique<SessionMetrics>(subject, view_.message().pid, workshop_.metrics);
}

void Session::keep_budget(std::uint64_t agent_cpu_ns) {
  const absl::Time now = steady_time(workshop_.clock);
  const SharedCounters counters = pool_->counters();
  const auto since = [&](Counter counter) {
    const auto index = static_cast<std::size_t>(counter);
    return counters[index] > paid_[index] ? counters[index] - paid_[index] : 0;
  };
  observe_cpu_time(/*now=*/true);
  spending_.time = now - std::exchange(spending_since_, now);
  spending_.app_cpu_ns = cpu_time_ns_ - std::exchange(cpu_time_paid_ns_, cpu_time_ns_);
  spending_.handler_ns = since(Counter::handler_ns);
  spending_.hook_ns = since(Counter::hook_ns);
  spending_.agent_cpu_ns = agent_cpu_ns;
  // A start costs more than what comes after it: files are met for the first time.
  if (now - begun_ >= kStartTime) budget_.look(spending_);
  spending_ = {};
  samples_unpaid_ = 0;
  paid_ = counters;
  control(budget_.within(wanted_));
}

void Session::control(const Rates& rates) {
  const Rates bounded = within_bounds(rates);
  if (bounded == rates_) return;
  rates_ = bounded;
  pool_->control(rates_);
}

void Session::refresh() {
  thread_names_.clear();
  code_.refresh();
  follow_python();
  python_.refresh();
}

}  // namespace siprof::client
