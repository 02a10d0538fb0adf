// SPDX-License-Identifier: Apache-2.0
// What queries need of a store: the read side of store.h. SQLite implements it
// in store/sqlite/, another engine in a folder beside it.
//
// A store answers with merged data that no longer mentions its own ids, so that
// everything above (query/, http/) works on any engine.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector/store/metric.h"

namespace siprof::collector {

// Start times, `from` inclusive, `to` exclusive.
struct TimeRange {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = std::numeric_limits<std::int64_t>::max();
};

// Label name to the values that are let through; a label that isn't named lets all through.
using Matches = std::map<std::string, std::set<std::string>>;

struct Selection {
  std::string service;
  std::string kind;
  TimeRange range;
  Matches matches;
  // Whether stacks() reads the profiles' counters too.
  bool counters = false;
  // A query that isn't done by then ends with DEADLINE_EXCEEDED.
  absl::Time deadline = absl::InfiniteFuture();
};

struct ValueType {
  std::string type;
  std::string unit;
  friend auto operator<=>(const ValueType&, const ValueType&) = default;
};

struct KindInfo {
  std::string kind;
  std::vector<ValueType> types;  // in the order of the profiles
};

struct ServiceInfo {
  std::string service;
  std::int64_t first_ns = 0;  // start of the first profile that is still there
  std::int64_t last_ns = 0;   // start of the last one
  std::vector<KindInfo> kinds;
  std::set<std::string> versions;
  std::set<std::string> hosts;
};

// One step of one label value of a chart.
struct SeriesTotals {
  std::string unit;  // empty: the type was never recorded
  // Label value ("" without a label) to start of step to total.
  std::map<std::string, std::map<std::int64_t, std::int64_t>> points;
};

struct StackMapping {
  std::string file;
  std::string build_id;
  std::uint64_t start = 0;
  std::uint64_t limit = 0;
  std::uint64_t offset = 0;
};

struct StackFrame {
  // Indices into MergedStacks::strings.
  std::uint32_t name = 0;  // never empty: "[file]" where the agent had no symbol
  std::uint32_t system_name = 0;
  std::uint32_t file = 0;
  std::uint32_t mapping = 0;  // index + 1 into MergedStacks::mappings, 0: none
  std::int64_t line = 0;
  std::int64_t start_line = 0;
  std::uint64_t address = 0;  // only where there is no symbol
  bool inlined = false;       // into the frame of the parent node
  bool symbolized = true;
  // Not a frame but a label of the stack below it, `name` being "key: value". Labels are the innermost nodes.
  bool label = false;
};

// All stacks of a selection as one tree. A node's values are those of the stacks
// that end in it, one per type, at [node * types.size() + type].
struct MergedStacks {
  struct Node {
    std::int32_t parent = -1;  // always a smaller index; -1: an outermost frame
    std::uint32_t frame = 0;
  };

  std::vector<ValueType> types;
  ValueType period_type;
  std::int64_t period = 0;
  std::uint64_t profiles = 0;
  std::int64_t first_ns = 0;         // start of the first profile
  std::int64_t end_ns = 0;           // end of the last
  std::vector<std::string> strings;  // [0] is ""
  std::vector<StackMapping> mappings;
  std::vector<StackFrame> frames;
  std::vector<Node> nodes;
  std::vector<std::int64_t> values;
  std::vector<std::int64_t> without_stack;  // per type
  // Empty unless the selection asks for them. Sums over all profiles; of a level
  // (is_level_counter) the latest profile's, the largest of several that start together.
  std::map<std::string, std::uint64_t> counters;
};

// What one agent sent of a metric for one window, added over its processes and all labels that aren't asked
// for.
struct MetricWindow {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;  // after start_ns
  double value = 0;
};

struct MetricHistory {
  std::optional<MetricName> metric;  // unset: never recorded in the range
  // Label value ("" without a label) to windows, in any order. Windows of a gauge overlap only where more
  // than one agent, or more than one set of attributes, has the metric at that time.
  std::map<std::string, std::vector<MetricWindow>> lines;
};

class StoreReader {
 public:
  virtual ~StoreReader() = default;

  // All methods: any thread. Errors: UNAVAILABLE, DATA_LOSS (a damaged file), DEADLINE_EXCEEDED;
  // of those that take a selection besides NOT_FOUND: no such service.

  virtual absl::StatusOr<std::vector<ServiceInfo>> services() const = 0;

  // Label names to values of all profiles of `service` (empty: of all) in the range.
  virtual absl::StatusOr<std::map<std::string, std::set<std::string>>> labels(const std::string& service,
                                                                              TimeRange range) const = 0;

  // Steps are multiples of `step_ns`; `by` is a label name or empty.
  // Levels are averaged over the windows of a process in a step, then added.
  virtual absl::StatusOr<SeriesTotals> totals(const Selection& selection, const std::string& type,
                                              std::int64_t step_ns, const std::string& by) const = 0;

  // Empty `type`: all types of the kind. Nothing recorded: OK, with profiles = 0.
  virtual absl::StatusOr<MergedStacks> stacks(const Selection& selection, const std::string& type) const = 0;

  // The runtime metrics that the selected series (by their attributes; `kind` is not looked at) have on the
  // days of the range, by name.
  virtual absl::StatusOr<std::vector<MetricName>> metric_names(const Selection& selection) const = 0;

  // Windows that start in the range. `matches` and `by` name an attribute or, where a series hasn't got it, a
  // label of the points. A name that has been sent with several units or types: the latest one.
  // INVALID_ARGUMENT: more windows than memory should hold.
  virtual absl::StatusOr<MetricHistory> metric_history(const Selection& selection, const std::string& name,
                                                       const std::string& by) const = 0;
};

}  // namespace siprof::collector
