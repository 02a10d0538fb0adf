// SPDX-License-Identifier: Apache-2.0
#include "collector/http/api.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <semaphore>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "collector/http/api_json.h"
#include "collector/query/chart.h"
#include "collector/query/flame.h"
#include "collector/query/metric_chart.h"
#include "collector/query/pprof_export.h"
#include "collector/store/kinds.h"

namespace siprof::collector {
namespace {

constexpr std::size_t kMaxChartLines = 20;

#define SIPROF_SHARED_PARAMS "service", "kind", "type", "from", "to", "match"

Answer json_answer(const nlohmann::ordered_json& json) {
  return {"application/json", dump(json)};
}

}  // namespace

// Queries that read stacks take memory; more of them at once than cores only take more.
class Api::Turns {
 public:
  explicit Turns(std::ptrdiff_t count) : free_(count) {}
  bool take(absl::Duration wait) { return free_.try_acquire_for(absl::ToChronoMilliseconds(wait)); }
  void give() { free_.release(); }

 private:
  std::counting_semaphore<> free_;
};

Api::Api(const StoreReader& reader, std::function<std::int64_t()> now_ns, Limits limits)
    : reader_(reader),
      now_ns_(std::move(now_ns)),
      limits_(limits),
      turns_(std::make_unique<Turns>(limits.parallel_queries)) {}

Api::Api(const StoreReader& reader, std::function<std::int64_t()> now_ns)
    : Api(reader, std::move(now_ns), Limits()) {}

Api::~Api() = default;

absl::StatusOr<Answer> Api::get(const std::string& path, const RawParams& raw) const {
  constexpr absl::string_view kLabels = "labels/";
  if (path == "services") return services(raw);
  if (path == "labels") return labels(raw);
  if (path.starts_with("labels/") && path.size() > kLabels.size())
    return label_values(path.substr(kLabels.size()), raw);
  const auto query = path == "series"    ? &Api::series
                     : path == "flame"   ? &Api::flame
                     : path == "top"     ? &Api::top
                     : path == "profile" ? &Api::profile
                     : path == "metrics" ? &Api::metrics
                                         : nullptr;
  if (query == nullptr)
    return absl::NotFoundError(
        "there is no such path; /api/v1/ has services, labels, series, flame, top, profile and metrics");
  if (!turns_->take(limits_.wait_for_turn))
    return absl::ResourceExhaustedError("too many queries at once: ask again in a moment");
  const std::unique_ptr<Turns, void (*)(Turns*)> turn(turns_.get(), [](Turns* turns) { turns->give(); });
  return (this->*query)(raw);
}

absl::StatusOr<Answer> Api::services(const RawParams& raw) const {
  const absl::StatusOr<Params> params = parse_params(raw, {}, now_ns_());
  if (!params.ok()) return params.status();
  const absl::StatusOr<std::vector<ServiceInfo>> services = reader_.services();
  if (!services.ok()) return services.status();
  return json_answer(services_json(*services));
}

absl::StatusOr<Answer> Api::labels(const RawParams& raw) const {
  const absl::StatusOr<Params> params = parse_params(raw, {"service", "from", "to"}, now_ns_());
  if (!params.ok()) return params.status();
  const auto labels = reader_.labels(params->selection.service, params->selection.range);
  if (!labels.ok()) return labels.status();
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const auto& [name, values] : *labels) names.push_back(name);
  return json_answer({{"labels", names}});
}

absl::StatusOr<Answer> Api::label_values(const std::string& name, const RawParams& raw) const {
  if (!is_plain_text(name))
    return absl::InvalidArgumentError("a label's name is UTF-8 text without control characters");
  const absl::StatusOr<Params> params = parse_params(raw, {"service", "from", "to"}, now_ns_());
  if (!params.ok()) return params.status();
  auto labels = reader_.labels(params->selection.service, params->selection.range);
  if (!labels.ok()) return labels.status();
  return json_answer({{"label", name}, {"values", (*labels)[name]}});
}

absl::StatusOr<std::string> Api::unit_of(const Params& params) const {
  const absl::StatusOr<std::vector<ServiceInfo>> services = reader_.services();
  if (!services.ok()) return services.status();
  std::vector<std::string> known;
  for (const ServiceInfo& service : *services) {
    if (service.service != params.selection.service) continue;
    for (const KindInfo& kind : service.kinds) {
      if (kind.kind != params.selection.kind) continue;
      for (const ValueType& type : kind.types) {
        if (type.type == params.type) return type.unit;
        known.push_back(type.type);
      }
    }
  }
  const Kind& kind = *find_kind(params.selection.kind);
  if (kind.default_type == absl::string_view(params.type)) return std::string(kind.default_unit);
  if (known.empty()) known.emplace_back(kind.default_type);
  return absl::InvalidArgumentError(
      absl::StrCat("parameter type: write one of ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<Answer> Api::series(const RawParams& raw) const {
  absl::StatusOr<Params> params = parse_params(raw, {SIPROF_SHARED_PARAMS, "step", "by"}, now_ns_());
  if (!params.ok()) return params.status();
  Selection& selection = params->selection;
  const absl::StatusOr<std::int64_t> step_s = choose_step(params->step_s, selection.range);
  if (!step_s.ok()) return step_s.status();
  selection.deadline = absl::Now() + limits_.query_time;
  const absl::StatusOr<SeriesTotals> totals =
      reader_.totals(selection, params->type, *step_s * 1'000'000'000, params->by);
  if (!totals.ok()) return totals.status();
  const absl::StatusOr<std::string> unit = totals->unit.empty() ? unit_of(*params) : totals->unit;
  if (!unit.ok()) return unit.status();
  Chart chart = make_chart(*totals, selection.range, *step_s, kMaxChartLines);
  if (is_level(params->type)) average_totals(chart);
  // Without `by` there is always the one line.
  if (params->by.empty() && chart.lines.empty())
    chart.lines.push_back({"", 0, std::vector<std::optional<std::int64_t>>(chart.times_s.size())});
  nlohmann::ordered_json json = head_json(*params, *unit);
  json["step"] = *step_s;
  add_chart_json(chart, json);
  return json_answer(json);
}

absl::StatusOr<Answer> Api::flame(const RawParams& raw) const {
  absl::StatusOr<Params> params = parse_params(raw, {SIPROF_SHARED_PARAMS, "nodes", "labels"}, now_ns_());
  if (!params.ok()) return params.status();
  params->selection.deadline = absl::Now() + limits_.query_time;
  params->selection.counters = true;
  const absl::StatusOr<MergedStacks> stacks = reader_.stacks(params->selection, params->type);
  if (!stacks.ok()) return stacks.status();
  const absl::StatusOr<std::string> unit = stacks->types.empty() ? unit_of(*params) : stacks->types[0].unit;
  if (!unit.ok()) return unit.status();
  const FlameGraph flame =
      make_flame(*stacks, merge_by_name(*stacks, 0, params->labels ? Labels::kShow : Labels::kFold),
                 params->selection.service, params->nodes);
  nlohmann::ordered_json head = head_json(*params, *unit);
  head["counters"] = stacks->counters;
  return Answer{"application/json", flame_json(std::move(head), flame, stacks->profiles)};
}

absl::StatusOr<Answer> Api::top(const RawParams& raw) const {
  absl::StatusOr<Params> params = parse_params(raw, {SIPROF_SHARED_PARAMS, "limit", "sort"}, now_ns_());
  if (!params.ok()) return params.status();
  Selection selection = params->selection;
  selection.deadline = absl::Now() + limits_.query_time;
  const absl::StatusOr<MergedStacks> stacks = reader_.stacks(selection, params->type);
  if (!stacks.ok()) return stacks.status();
  const absl::StatusOr<std::string> unit = stacks->types.empty() ? unit_of(*params) : stacks->types[0].unit;
  if (!unit.ok()) return unit.status();
  const TimeRange range = params->selection.range;
  selection.range = {std::max<std::int64_t>(0, range.from_ns - (range.to_ns - range.from_ns)), range.from_ns};
  const absl::StatusOr<MergedStacks> before = reader_.stacks(selection, params->type);
  if (!before.ok()) return before.status();
  TopTable top = make_top(*stacks, 0);
  keep_largest(top, params->sort, params->limit);
  nlohmann::ordered_json json = head_json(*params, *unit);
  add_top_json(top, before->profiles == 0 ? std::nullopt : std::optional(make_top(*before, 0)), json);
  return json_answer(json);
}

absl::StatusOr<Answer> Api::profile(const RawParams& raw) const {
  absl::StatusOr<Params> params = parse_params(raw, {SIPROF_SHARED_PARAMS}, now_ns_());
  if (!params.ok()) return params.status();
  params->selection.deadline = absl::Now() + limits_.query_time;
  params->selection.counters = true;
  const absl::StatusOr<MergedStacks> stacks = reader_.stacks(params->selection, "");
  if (!stacks.ok()) return stacks.status();
  if (stacks->profiles == 0)
    return absl::NotFoundError(
        "nothing was recorded for this selection: choose another range, kind or match");
  if (std::ranges::find(stacks->types, params->type, &ValueType::type) == stacks->types.end()) {
    const absl::StatusOr<std::string> known = unit_of(*params);
    if (!known.ok()) return known.status();
    params->type = stacks->types.front().type;
  }
  return Answer{"application/octet-stream", gzip_pprof(make_pprof(*stacks, params->type))};
}

absl::StatusOr<Answer> Api::metrics(const RawParams& raw) const {
  absl::StatusOr<Params> params =
      parse_params(raw, {"service", "name", "from", "to", "match", "step", "by"}, now_ns_());
  if (!params.ok()) return params.status();
  Selection& selection = params->selection;
  selection.deadline = absl::Now() + limits_.query_time;
  if (params->name.empty()) return metric_names(*params);
  const absl::StatusOr<std::int64_t> step_s = choose_step(params->step_s, selection.range);
  if (!step_s.ok()) return step_s.status();
  params->step_s = *step_s;
  absl::StatusOr<MetricHistory> history = reader_.metric_history(selection, params->name, params->by);
  if (!history.ok()) return history.status();
  const absl::StatusOr<MetricName> metric = history->metric ? *history->metric : known_metric(*params);
  if (!metric.ok()) return metric.status();
  MetricChart chart = make_metric_chart(*std::move(history), selection.range, *step_s, kMaxChartLines);
  // Without `by` there is always the one line.
  if (params->by.empty() && chart.lines.empty()) {
    const std::vector<std::optional<double>> none(chart.times_s.size());
    chart.lines.push_back({"", 0, none, none});
  }
  return json_answer(metric_chart_json(*params, *metric, chart));
}

absl::StatusOr<Answer> Api::metric_names(const Params& params) const {
  for (const auto& [name, given] :
       {std::pair("step", params.step_s != 0), std::pair("by", !params.by.empty())})
    if (given)
      return absl::InvalidArgumentError(
          absl::StrCat("parameter ", name, ": it needs `name`; without one the answer lists the metrics"));
  const absl::StatusOr<std::vector<MetricName>> metrics = reader_.metric_names(params.selection);
  if (!metrics.ok()) return metrics.status();
  return json_answer(metric_names_json(params, *metrics));
}

absl::StatusOr<MetricName> Api::known_metric(const Params& params) const {
  Selection all = params.selection;
  all.range = {};
  all.matches = {};
  const absl::StatusOr<std::vector<MetricName>> metrics = reader_.metric_names(all);
  if (!metrics.ok()) return metrics.status();
  const auto found = std::ranges::find(*metrics, params.name, &MetricName::name);
  if (found != metrics->end()) return *found;
  if (metrics->empty()) return absl::InvalidArgumentError("parameter name: this service has sent no metrics");
  const auto append = [](std::string* out, const MetricName& metric) { absl::StrAppend(out, metric.name); };
  return absl::InvalidArgumentError(
      absl::StrCat("parameter name: write one of ", absl::StrJoin(*metrics, ", ", append)));
}

}  // namespace siprof::collector
