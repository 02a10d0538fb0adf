// SPDX-License-Identifier: Apache-2.0
// See process_code.h.
#include "collector-client/agent/process_code.h"

#include <algorithm>
#include <utility>

#include "collector-client/unwind/lasting_modules.h"

namespace siprof::client {
namespace {

// A process that maps and unmaps all the time may take that share of the agent's time.
constexpr int kLookShare = 20;  // one part of so many
constexpr absl::Duration kLeastPause = absl::Milliseconds(10);
constexpr absl::Duration kMostPause = absl::Seconds(1);

}  // namespace

ProcessCode::ProcessCode(const ProcessView& view, SharedPool& pool, ModuleCache& modules,
                         TableBuilder& tables, const Clock& clock)
    : view_(view),
      pool_(pool),
      modules_(modules),
      tables_(tables),
      clock_(clock),
      map_(modules, view.opener()),
      pause_(kLeastPause) {
  read();
}

// Of the first mapping that belongs to it.
const Module* ProcessCode::executable() const {
  for (const CodeMapping& mapping : map_.mappings()) {
    if (mapping.module != nullptr && mapping.module->path == view_.executable()) return mapping.module;
  }
  return nullptr;
}

// Null: the state was never read, or is forgotten.
const ModuleMap* ProcessCode::known_at(std::uint32_t generation) const {
  if (generation == kUnmapping) return nullptr;
  if (generation == generation_) return &map_;
  const auto past = std::ranges::find(past_, generation, &Past::generation);
  return past != past_.end() ? past->map.get() : nullptr;
}

const ModuleMap& ProcessCode::at(std::uint32_t generation, std::uint64_t ip) {
  const ModuleMap* map = known_at(generation);
  if (map == nullptr || (map == &map_ && map_.find(ip) == nullptr)) {
    look();
    map = known_at(generation);
  }
  if (map != nullptr) return *map;
  if (lasting_ == nullptr) {
    const auto modules = lasting_modules(map_, executable());
    lasting_ = map_.snapshot(&modules);
  }
  return *lasting_;
}

bool ProcessCode::follow() {
  // What was recorded in a state before the last drain has been read.
  past_.erase(past_.begin(), past_.begin() + static_cast<std::ptrdiff_t>(past_before_drain_));
  const bool changed = pool_.unmap_generation() != generation_;
  if (changed) look();
  past_before_drain_ = past_.size();
  return changed;
}

void ProcessCode::follow_tables() {
  if (tables_.generation() != tables_generation_) publish();
}

void ProcessCode::refresh() {
  if (view_.maps_are_live()) read();
}

void ProcessCode::take_over(const ProcessCode& before) {
  if (!map_.mappings().empty()) return;
  text_ = before.text_;
  generation_ = before.generation_;
  update();
}

Counters ProcessCode::take_failures() {
  return std::exchange(failures_, {});
}

// Where the map is known to be old. A process whose /proc isn't in sight reads it itself.
void ProcessCode::look() {
  const absl::Time begin = steady_time(clock_);
  if (begin - read_at_ < pause_) return;
  if (!view_.maps_are_live()) {
    pool_.request_refresh();
    read_at_ = begin;
    pause_ = kMostPause;
    return;
  }
  read();
  pause_ = std::clamp((steady_time(clock_) - begin) * kLookShare, kLeastPause, kMostPause);
}

// What map_ said is kept for the samples that saw it.
void ProcessCode::read() {
  read_at_ = steady_time(clock_);
  const std::uint32_t before = generation_;
  const std::uint32_t generation = read_text();
  if (before != kUnmapping && generation != before) past_.push_back({before, map_.snapshot()});
  generation_ = generation;
  update();
}

// The number of unmappings that text_ shows; kUnmapping if there was one meanwhile.
std::uint32_t ProcessCode::read_text() {
  const std::uint32_t generation = pool_.unmap_generation();
  std::string text = view_.read_maps();
  if (!text.empty()) {
    text_ = std::move(text);
    return pool_.unmap_generation() == generation ? generation : kUnmapping;
  }
  // Empty after exec and at the end: what was known is right for what was sampled.
  if (!map_.mappings().empty()) return generation_;
  text_ = view_.first_maps();
  return pool_.maps_generation();
}

// Modules are shared by all processes; what can't be read is counted where it was met.
void ProcessCode::update() {
  const Counters before = modules_.failures();
  map_.update(text_);
  lasting_ = nullptr;
  for (const auto& [name, count] : modules_.failures()) {
    const auto known = before.find(name);
    failures_[name] += count - (known != before.end() ? known->second : 0);
  }
  publish();
}

// What handlers of the process walk with: the modules' tables, as far as there are any.
void ProcessCode::publish() {
  const TableArena* arena = tables_.arena();
  if (arena == nullptr) return;
  tables_generation_ = tables_.generation();
  ranges_.clear();
  for (const CodeMapping& mapping : map_.mappings()) {
    // Code made at run time: its makers keep frame pointers, or nobody can walk it.
    const std::uint32_t has_fps = mapping.module == nullptr ? 1 : 0;
    ranges_.push_back({mapping.start, mapping.end, mapping.bias, tables_.place_of(mapping.module), has_fps});
  }
  pool_.publish({generation_, arena->id(), arena->bytes(), arena->path()}, ranges_);
}

}  // namespace siprof::client
