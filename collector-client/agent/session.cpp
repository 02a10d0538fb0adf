// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/session.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "collector-client/agent/libc_version.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kCpuTimePause = absl::Milliseconds(250);
constexpr absl::Duration kThreadsPause = absl::Seconds(1);  // between two looks for threads that ended
constexpr std::size_t kMostLooks = 16;                      // at living ones, each time
constexpr std::size_t kMostThreadNames = 65536;
constexpr std::uint64_t kMostLostTicks = 1'000'000'000;  // the number comes from the process

constexpr const char* kCounterNames[] = {
#define SIPROF_COUNTER_NAME(name, help) #name,
    SIPROF_COUNTERS(SIPROF_COUNTER_NAME)
#undef SIPROF_COUNTER_NAME
};

const char* name_of_end(StackEnd end) {
  switch (end) {
    case StackEnd::kThreadStart:
      return "stacks_whole";
    case StackEnd::kTruncated:
      return "stacks_truncated";
    case StackEnd::kNoTable:
      return "stacks_without_table";
    case StackEnd::kBroken:
      return "stacks_broken";
    case StackEnd::kTooDeep:
      return "stacks_too_deep";
  }
  return "stacks_broken";
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
      hz_(std::clamp<std::uint32_t>(view_.message().hz, 1, 1000)),
      cpu_on_((view_.message().kinds & kKindCpu) != 0),
      inherited_ticks_(std::min(pool_->unsettled_ticks(), kMostLostTicks)) {}

absl::StatusOr<std::unique_ptr<Session>> Session::begin(AttachRequest request, const Workshop& workshop,
                                                        const std::string& run_id) {
  absl::StatusOr<std::unique_ptr<SharedPool>> pool = SharedPool::map(request.memory.get());
  if (!pool.ok()) return pool.status();
  request.memory.reset();
  std::unique_ptr<Session> session(new Session(ProcessView(std::move(request)), *std::move(pool), workshop));
  session->beat();
  session->find_identity(run_id);
  session->cpu_time_ns_ = session->view_.cpu_time_ns().value_or(0);
  return session;
}

void Session::find_identity(const std::string& run_id) {
  ProcessFacts facts = view_.facts();
  facts.runtime_version = libc_version(code_.map());
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
  const auto sink = [this](const RawSample& sample) { add(sample); };
  reader_.drain(sink, final);
  if (final) return samples_ - before;
  const bool mappings_changed = code_.follow();
  reclaim_dead_threads();
  const std::uint32_t in_use = reader_.statistics().chunks_in_use;
  hurry_ = in_use > pool_->chunk_count() / 8 || thread_names_.size() > threads_before || mappings_changed;
  if (in_use > pool_->chunk_count() / 2 && pool_->grow()) reader_.set_chunks(pool_->chunk_count());
  return samples_ - before;
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

void Session::take_frames(const RawSample& sample, const ModuleMap& map) {
  stack_.frames.clear();
  stack_.guessed_frames = 0;
  stack_.end = (sample.record.flags & kTooManyFrames) != 0 ? StackEnd::kTooDeep : StackEnd::kThreadStart;
  for (const std::uint64_t address : sample.frames) stack_.frames.push_back(map.locate(address));
}

void Session::unwind(const RawSample& sample, const ModuleMap& map) {
  CapturedStack captured;
  static_assert(sizeof(captured.registers) == sizeof(sample.record.registers));
  memcpy(captured.registers.data(), sample.record.registers, sizeof(sample.record.registers));
  captured.bytes = sample.stack;
  captured.stack_start = sample.record.stack_start;
  const std::uint64_t before = workshop_.unwinder.modules_without_tables();
  workshop_.unwinder.unwind(captured, map, stack_);
  modules_without_tables_ += workshop_.unwinder.modules_without_tables() - before;
}

void Session::add(const RawSample& sample) {
  ++samples_;
  const ModuleMap& map = code_.at(sample.record.unmap_generation, sample.record.registers[kRip]);
  if (sample.frames.empty())
    unwind(sample, map);
  else
    take_frames(sample, map);
  const std::uint64_t ticks = std::min<std::uint64_t>(sample.record.weight, 1'000'000);
  added_ticks_ += ticks;
  const std::uint64_t period_ns =
      std::clamp<std::uint64_t>(sample.record.period_ns, 1'000'000, 1'000'000'000);
  const std::int64_t values[] = {static_cast<std::int64_t>(ticks),
                                 static_cast<std::int64_t>(ticks * period_ns)};
  SampleView view;
  view.stack = stack_.frames;
  view.process = number_;
  view.pid = view_.message().pid;
  view.thread_id = static_cast<pid_t>(sample.record.tid);
  view.thread_name = thread_name(sample.record.tid);
  view.values = values;
  workshop_.aggregator.add(series_, Kind::kCpu, view);
  workshop_.aggregator.count(series_, Kind::kCpu, name_of_end(stack_.end), 1);
  workshop_.aggregator.count(series_, Kind::kCpu, "cpu_sampled_ns", ticks * period_ns);
  if (stack_.guessed_frames != 0)
    workshop_.aggregator.count(series_, Kind::kCpu, "frames_guessed", stack_.guessed_frames);
}

const std::string& Session::thread_name(std::uint32_t tid) {
  const auto known = thread_names_.find(tid);
  if (known != thread_names_.end()) return known->second;
  if (thread_names_.size() > kMostThreadNames) thread_names_.clear();
  return thread_names_.emplace(tid, view_.thread_name(tid)).first->second;
}

void Session::account() {
  Aggregator& out = workshop_.aggregator;
  const SharedCounters now = pool_->counters();
  for (std::uint32_t i = 0; i < kCounterCount; ++i) {
    // Hostile memory may go backwards; a counter doesn't.
    if (now[i] > counted_[i]) out.count(series_, Kind::kCpu, kCounterNames[i], now[i] - counted_[i]);
  }
  counted_ = now;
  accounted_ticks_ =
      inherited_ticks_ + added_ticks_ + counted_[static_cast<std::uint32_t>(Counter::lost_pool_full)];
  const DrainStatistics& drained = reader_.statistics();
  if (drained.malformed > drained_.malformed) {
    out.count(series_, Kind::kCpu, "records_malformed", drained.malformed - drained_.malformed);
  }
  if (drained.abandoned > drained_.abandoned) {
    out.count(series_, Kind::kCpu, "records_abandoned", drained.abandoned - drained_.abandoned);
  }
  drained_ = drained;
  for (const auto& [name, count] : code_.take_failures()) out.count(series_, Kind::kCpu, name, count);
  if (const std::uint64_t more = std::exchange(modules_without_tables_, 0); more != 0)
    out.count(series_, Kind::kCpu, "modules_without_tables", more);
  observe_cpu_time(/*now=*/true);
  out.state(series_, Kind::kCpu, "sampling_hz", hz_);
}

// Now and then also between windows: a process that has ended can't be asked any more.
void Session::observe_cpu_time(bool now) {
  const absl::Time time = steady_time(workshop_.clock);
  if (!now && time - cpu_time_at_ < kCpuTimePause) return;
  cpu_time_at_ = time;
  const std::optional<std::uint64_t> cpu = view_.cpu_time_ns();
  if (!cpu || *cpu <= cpu_time_ns_) return;
  workshop_.aggregator.count(series_, Kind::kCpu, "cpu_proc_ns", *cpu - cpu_time_ns_);
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
}

void Session::control(std::uint32_t hz, bool cpu_on) {
  if (hz == hz_ && cpu_on == cpu_on_) return;
  hz_ = hz;
  cpu_on_ = cpu_on;
  pool_->control(hz, cpu_on ? kKindCpu : 0);
}

void Session::refresh() {
  thread_names_.clear();
  code_.refresh();
}

}  // namespace siprof::client
