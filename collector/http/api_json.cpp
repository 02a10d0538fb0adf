// SPDX-License-Identifier: Apache-2.0
#include "collector/http/api_json.h"

#include "absl/container/flat_hash_map.h"
#include "collector/store/kinds.h"

namespace siprof::collector {
namespace {

using Json = nlohmann::ordered_json;

// Whole seconds as integers, others with their fraction.
Json seconds(std::int64_t unix_ns) {
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  if (unix_ns % kSecondNs == 0) return unix_ns / kSecondNs;
  return static_cast<double>(unix_ns / 1000) / 1e6;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Json kind_json(const KindInfo& kind) {
  Json types = Json::array();
  for (const ValueType& type : kind.types) types.push_back({{"type", type.type}, {"unit", type.unit}});
  const Kind* known = find_kind(kind.kind);
  const std::string default_type = known != nullptr     ? std::string(known->default_type)
                                   : kind.types.empty() ? ""
                                                        : kind.types.back().type;
  return {{"kind", kind.kind}, {"default_type", default_type}, {"types", types}};
}

const char* name_of(MetricType type) {
  return type == MetricType::kGauge ? "gauge" : "counter";
}

Json numbers(const std::vector<std::optional<double>>& values) {
  Json list = Json::array();
  for (const std::optional<double>& value : values) value ? list.push_back(*value) : list.push_back(nullptr);
  return list;
}

}  // namespace

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json services_json(const std::vector<ServiceInfo>& services) {
  Json list = Json::array();
  for (const ServiceInfo& service : services) {
    Json kinds = Json::array();
    for (const KindInfo& kind : service.kinds) kinds.push_back(kind_json(kind));
    list.push_back({{"service", service.service},
                    {"first", seconds(service.first_ns)},
                    {"last", seconds(service.last_ns)},
                    {"kinds", kinds},
                    {"versions", service.versions},
                    {"hosts", service.hosts}});
  }
  return {{"services", list}};
}

Json head_json(const Params& params, const std::string& unit) {
  const Selection& selection = params.selection;
  return {{"service", selection.service},
          {"kind", selection.kind},
          {"type", params.type},
          {"unit", unit},
          {"from", seconds(selection.range.from_ns)},
          {"to", seconds(selection.range.to_ns)}};
}

void add_chart_json(const Chart& chart, Json& json) {
  json["times"] = chart.times_s;
  json["series"] = Json::array();
  for (const ChartLine& line : chart.lines) {
    Json values = Json::array();
    for (const std::optional<std::int64_t>& value : line.values)
      value ? values.push_back(*value) : values.push_back(nullptr);
    json["series"].push_back({{"label", line.label}, {"total", line.total}, {"values", std::move(values)}});
  }
}

void add_top_json(const TopTable& top, const std::optional<TopTable>& before, Json& json) {
  absl::flat_hash_map<std::string, const FunctionCost*> earlier;
  if (before)
    for (const FunctionCost& function : before->functions) earlier.emplace(function.name, &function);
  json["total"] = top.total;
  json["functions"] = Json::array();
  for (const FunctionCost& function : top.functions) {
    Json row = {{"name", function.name},
                {"file", function.file},
                {"self", function.self},
                {"total", function.total},
                {"self_share", share(function.self, top.total)},
                {"total_share", share(function.total, top.total)},
                {"before", nullptr}};
    if (before) {
      const auto found = earlier.find(function.name);
      const FunctionCost none;
      const FunctionCost& was = found == earlier.end() ? none : *found->second;
      row["before"] = {{"self_share", share(was.self, before->total)},
                       {"total_share", share(was.total, before->total)}};
    }
    json["functions"].push_back(std::move(row));
  }
}

Json metric_names_json(const Params& params, const std::vector<MetricName>& metrics) {
  Json list = Json::array();
  for (const MetricName& metric : metrics)
    list.push_back({{"name", metric.name}, {"unit", metric.unit}, {"type", name_of(metric.type)}});
  return {{"service", params.selection.service},
          {"from", seconds(params.selection.range.from_ns)},
          {"to", seconds(params.selection.range.to_ns)},
          {"metrics", list}};
}

Json metric_chart_json(const Params& params, const MetricName& metric, const MetricChart& chart) {
  Json json = {{"service", params.selection.service},
               {"name", metric.name},
               {"unit", metric.unit},
               {"type", name_of(metric.type)},
               {"from", seconds(params.selection.range.from_ns)},
               {"to", seconds(params.selection.range.to_ns)},
               {"step", params.step_s},
               {"times", chart.times_s},
               {"series", Json::array()}};
  const char* beside = metric.type == MetricType::kGauge ? "max" : "rate";
  for (const MetricLine& line : chart.lines)
    json["series"].push_back({{"label", line.label},
                              {"total", line.total},
                              {"values", numbers(line.values)},
                              {beside, numbers(line.beside)}});
  return json;
}

std::string flame_json(Json head, const FlameGraph& flame, std::uint64_t profiles) {
  head["total"] = flame.total.front();
  head["profiles"] = profiles;
  head["nodes_in_all"] = flame.nodes_in_all;
  head["names"] = flame.names;
  head["files"] = flame.files;
  head["nodes"] = {{"name", flame.name},
                   {"file", flame.file},
                   {"parent", flame.parent},
                   {"self", flame.self},
                   {"total", flame.total}};
  return dump(head);
}

}  // namespace siprof::collector
