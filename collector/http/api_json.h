// SPDX-License-Identifier: Apache-2.0
// The JSON of docs/http-api.md, from the queries' results. Called by Api.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "collector/http/params.h"
#include "collector/query/chart.h"
#include "collector/query/flame.h"
#include "collector/query/metric_chart.h"
#include "collector/query/top.h"
#include "collector/store/reader.h"

namespace siprof::collector {

// Text that isn't UTF-8 gets replacement characters: an answer is always JSON.
std::string dump(const nlohmann::ordered_json& json);

nlohmann::ordered_json services_json(const std::vector<ServiceInfo>& services);

// service, kind, type, unit, from, to: what every answer about values begins with.
nlohmann::ordered_json head_json(const Params& params, const std::string& unit);

void add_chart_json(const Chart& chart, nlohmann::ordered_json& json);
void add_top_json(const TopTable& top, const std::optional<TopTable>& before, nlohmann::ordered_json& json);

nlohmann::ordered_json metric_names_json(const Params& params, const std::vector<MetricName>& metrics);
nlohmann::ordered_json metric_chart_json(const Params& params, const MetricName& metric,
                                         const MetricChart& chart);

std::string flame_json(nlohmann::ordered_json head, const FlameGraph& flame, std::uint64_t profiles);

}  // namespace siprof::collector
