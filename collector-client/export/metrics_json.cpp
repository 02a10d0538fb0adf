// SPDX-License-Identifier: Apache-2.0
#include "collector-client/export/metrics_json.h"

#include <nlohmann/json.hpp>

namespace siprof::client {
namespace {

double seconds(absl::Time time) {
  return absl::ToDoubleSeconds(time - absl::UnixEpoch());
}

}  // namespace

void MetricsJson::add(const FinishedMetrics& metrics) {
  const auto service = metrics.attributes.find("service.name");
  const std::string name = service != metrics.attributes.end() ? service->second : "";
  for (const MetricPoint& point : metrics.points) {
    if (!has_room()) {
      ++dropped_;
      continue;
    }
    metrics_[point.metric][{name, point.pid, point.label}].push_back(
        {metrics.start, metrics.start + metrics.duration, point.value});
    ++points_;
  }
}

// In full makes room: what has grown in two windows adds up, of levels the later one stays.
bool MetricsJson::has_room() {
  if (points_ < most_) return true;
  points_ = 0;
  for (auto& [metric, series] : metrics_) {
    for (auto& [key, values] : series) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < values.size(); i += 2) {
        Value one = values[i];
        if (i + 1 < values.size()) {
          one.end = values[i + 1].end;
          one.value = values[i + 1].value + (metric->type == MetricType::kIncrease ? one.value : 0);
        }
        values[kept++] = one;
      }
      values.resize(kept);
      points_ += kept;
    }
  }
  return points_ < most_;
}

nlohmann::json MetricsJson::list() const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [metric, series] : metrics_) {
    nlohmann::json points = nlohmann::json::array();
    for (const auto& [key, values] : series) {
      const auto& [service, pid, label] = key;
      nlohmann::json labels = nlohmann::json::object();
      if (pid != 0) labels["pid"] = std::to_string(pid);
      if (!metric->label.empty()) labels[std::string(metric->label)] = label;
      for (const Value& value : values) {
        points.push_back({{"start", seconds(value.start)},
                          {"time", seconds(value.end)},
                          {"service", service},
                          {"labels", labels},
                          {"value", value.value}});
      }
    }
    list.push_back({{"name", std::string(metric->name)},
                    {"unit", std::string(metric->unit)},
                    {"type", metric->type == MetricType::kLevel ? "gauge" : "counter"},
                    {"points", std::move(points)}});
  }
  return list;
}

}  // namespace siprof::client
