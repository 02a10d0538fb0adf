// SPDX-License-Identifier: Apache-2.0
// JSON of the API to columns.
#include "collector-client/cli/tables.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "collector-client/pprof/short_name.h"
#include "collector-client/pprof/summary.h"

namespace siprof::client {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

constexpr std::size_t kNameRoom = 80;  // --json has the names whole

absl::Status unexpected(const std::exception& e) {
  return absl::DataLossError(absl::StrCat("the server's answer is not what its API says: ", e.what()));
}

std::string columns(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      absl::StrAppend(&text, row[i], std::string(widths[i] - row[i].size() + 2, ' '));
    }
    absl::StrAppend(&text, row.back(), "\n");
  }
  return text;
}

std::string list(const json& values) {
  return absl::StrJoin(values.get<std::vector<std::string>>(), ",");
}

std::string local_time(const json& seconds) {
  const absl::Time time = absl::UnixEpoch() + absl::Seconds(seconds.get<double>());
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::LocalTimeZone());
}

bool has_before(const json& function) {
  return function.contains("before") && !function["before"].is_null();
}

// Points of the share, against the time before. Nothing to compare with: no column.
std::string trend(const json& function) {
  if (!has_before(function)) return "new";
  const double change = function["self_share"].get<double>() - function["before"]["self_share"].get<double>();
  return absl::StrFormat("%+.1f", 100 * change);
}

}  // namespace

absl::StatusOr<std::string> services_table(std::string_view text) {
  try {
    const json answer = json::parse(text);
    std::vector<Row> rows = {{"SERVICE", "KINDS", "VERSIONS", "HOSTS", "LAST"}};
    for (const json& service : answer.at("services")) {
      std::vector<std::string> kinds;
      for (const json& kind : service.at("kinds")) kinds.push_back(kind.at("kind"));
      rows.push_back({service.at("service"), absl::StrJoin(kinds, ","), list(service.at("versions")),
                      list(service.at("hosts")), local_time(service.at("last"))});
    }
    return columns(rows);
  } catch (const json::exception& e) {
    return unexpected(e);
  }
}

absl::StatusOr<std::string> top_table(std::string_view text) {
  try {
    const json answer = json::parse(text);
    const std::string unit = answer.at("unit");
    const json& functions = answer.at("functions");
    const bool with_trend = std::any_of(functions.begin(), functions.end(), has_before);
    std::string table = absl::StrFormat(
        "%s, %s/%s, total %s\n%10s %6s %10s %6s %6s  %s\n", answer.at("service").get<std::string>(),
        answer.at("kind").get<std::string>(), answer.at("type").get<std::string>(),
        format_value(answer.at("total").get<std::int64_t>(), unit), "self", "", "total", "",
        with_trend ? "trend" : "", "function");
    for (const json& function : functions) {
      absl::StrAppendFormat(&table, "%10s %5.1f%% %10s %5.1f%% %6s  %s\n",
                            format_value(function.at("self").get<std::int64_t>(), unit),
                            100 * function.at("self_share").get<double>(),
                            format_value(function.at("total").get<std::int64_t>(), unit),
                            100 * function.at("total_share").get<double>(), with_trend ? trend(function) : "",
                            short_name(function.at("name").get<std::string>(), kNameRoom));
    }
    return table;
  } catch (const json::exception& e) {
    return unexpected(e);
  }
}

}  // namespace siprof::client
