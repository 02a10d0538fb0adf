// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/configuration.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace siprof::collector {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 7> kKinds = {"cpu", "wall", "heap", "lock", "io", "errors", "metrics"};
constexpr std::size_t kMaxFileBytes = 1U << 20;
constexpr std::size_t kMaxServices = 10'000;
constexpr std::size_t kMaxServiceNameBytes = 1'024;

absl::Status wrong(const std::string& key, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(key, ": ", what));
}

absl::StatusOr<std::uint64_t> whole_number(const Json& value, const std::string& key, std::uint64_t most) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() >= 1 && value.get<std::uint64_t>() <= most) {
    return value.get<std::uint64_t>();
  }
  return wrong(key, absl::StrCat("write a whole number from 1 to ", most));
}

absl::StatusOr<std::int64_t> duration_ns(const Json& value, const std::string& key, absl::Duration least,
                                         absl::Duration most) {
  absl::Duration duration;
  if (value.is_string() && absl::ParseDuration(value.get<std::string>(), &duration) && duration >= least &&
      duration <= most) {
    return absl::ToInt64Nanoseconds(duration);
  }
  return wrong(key, absl::StrCat("write a time with its unit, like \"1ms\", from ",
                                 absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
}

absl::Status set_service(const Json& value, const std::string& key, v1::ServiceConfiguration& out) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty() ||
      value.get_ref<const std::string&>().size() > kMaxServiceNameBytes) {
    return wrong(key, "write a service's name, or \"*\" for all");
  }
  const std::string& name = value.get_ref<const std::string&>();
  out.set_service(name == "*" ? "" : name);
  return absl::OkStatus();
}

absl::Status set_kinds(const Json& value, const std::string& key, v1::ServiceConfiguration& out) {
  const auto help = [key] {
    return wrong(key,
                 absl::StrCat("write \"none\" or a comma-separated list of ", absl::StrJoin(kKinds, ", ")));
  };
  if (!value.is_string()) return help();
  const std::string& list = value.get_ref<const std::string&>();
  if (list != "none") {
    for (const std::string& kind : std::vector<std::string>(absl::StrSplit(list, ','))) {
      if (std::ranges::find(kKinds, kind) == kKinds.end()) return help();
    }
  }
  out.set_kinds(list);
  return absl::OkStatus();
}

absl::Status set_hz(const Json& value, const std::string& key, v1::ServiceConfiguration& out) {
  const auto number = whole_number(value, key, 1'000);
  if (number.ok()) out.set_hz(static_cast<std::uint32_t>(*number));
  return number.status();
}

absl::Status set_heap_interval(const Json& value, const std::string& key, v1::ServiceConfiguration& out) {
  const auto number = whole_number(value, key, std::uint64_t{1} << 40);
  if (number.ok()) out.set_heap_interval_bytes(*number);
  return number.status();
}

absl::Status set_block_interval(const Json& value, const std::string& key, v1::ServiceConfiguration& out) {
  const auto interval = duration_ns(value, key, absl::Microseconds(1), absl::Minutes(1));
  if (interval.ok()) out.set_block_interval_nanos(static_cast<std::uint64_t>(*interval));
  return interval.status();
}

absl::Status set_budget(const Json& value, const std::string& key, v1::ServiceConfiguration& out) {
  double percent = 0;
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  const bool is_percent = text.ends_with('%') &&
                          absl::SimpleAtod(text.substr(0, text.size() - 1), &percent) && percent > 0 &&
                          percent <= 100;
  if (!is_percent && text != "off") return wrong(key, "write a share of CPU like \"1%\", or \"off\"");
  out.set_budget(text);
  return absl::OkStatus();
}

using Setter = absl::Status (*)(const Json&, const std::string& key, v1::ServiceConfiguration&);
const std::map<std::string, Setter>& service_keys() {
  static const auto& keys = *new std::map<std::string, Setter>{{"service", set_service},
                                                               {"kinds", set_kinds},
                                                               {"hz", set_hz},
                                                               {"heap_interval", set_heap_interval},
                                                               {"block_interval", set_block_interval},
                                                               {"budget", set_budget}};
  return keys;
}

absl::Status parse_service(const Json& object, const std::string& path, v1::ServiceConfiguration& out) {
  if (!object.is_object()) return wrong(path, "write an object");
  for (const auto& [key, value] : object.items()) {
    const auto setter = service_keys().find(key);
    if (setter == service_keys().end()) {
      return wrong(absl::StrCat(path, ".", key),
                   absl::StrCat("no such key; there are ",
                                absl::StrJoin(service_keys(), ", ", [](std::string* text, const auto& entry) {
                                  text->append(entry.first);
                                })));
    }
    if (auto status = setter->second(value, absl::StrCat(path, ".", key), out); !status.ok()) return status;
  }
  if (!object.contains("service")) return wrong(path, "needs a \"service\": a name, or \"*\" for all");
  return absl::OkStatus();
}

absl::Status parse_services(const Json& list, v1::Configuration& out) {
  if (!list.is_array() || list.size() > kMaxServices) {
    return wrong("services", absl::StrCat("write a list of at most ", kMaxServices, " objects"));
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = absl::StrCat("services[", i, "]");
    v1::ServiceConfiguration& service = *out.add_services();
    if (auto status = parse_service(list[i], path, service); !status.ok()) return status;
    // The first match wins, so this one could never be in force.
    if (seen.contains("") || !seen.insert(service.service()).second) {
      return wrong(path, "is never reached: an entry before it matches the same service");
    }
  }
  return absl::OkStatus();
}

absl::Status parse_root_key(const std::string& key, const Json& value, FleetConfiguration& out) {
  if (key == "services") return parse_services(value, out.shared);
  if (key == "phase_spread") {
    if (!value.is_boolean()) return wrong(key, "write true or false");
    out.phase_spread = value.get<bool>();
    return absl::OkStatus();
  }
  if (key == "min_send_interval") {
    const auto interval = duration_ns(value, key, absl::ZeroDuration(), absl::Hours(1));
    if (interval.ok()) out.shared.set_min_send_interval_nanos(*interval);
    return interval.status();
  }
  return wrong(key, "no such key; there are min_send_interval, phase_spread, services");
}

// Later than every earlier one's, also of a process that ran before this one.
std::uint64_t next_generation() {
  static std::atomic<std::uint64_t> last{0};
  const auto now = static_cast<std::uint64_t>(absl::ToUnixMicros(absl::Now()));
  std::uint64_t previous = last.load();
  while (!last.compare_exchange_weak(previous, std::max(previous + 1, now))) {
  }
  return std::max(previous + 1, now);
}

}  // namespace

absl::StatusOr<FleetConfiguration> parse_configuration(std::string_view json) {
  FleetConfiguration configuration;
  try {
    const Json root = Json::parse(json);
    if (!root.is_object()) return wrong("configuration", "write one JSON object");
    for (const auto& [key, value] : root.items()) {
      if (auto status = parse_root_key(key, value, configuration); !status.ok()) return status;
    }
  } catch (const Json::exception& error) {
    // what() starts with the library's own error number and is one line.
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.what()));
  }
  configuration.shared.set_generation(next_generation());
  return configuration;
}

absl::StatusOr<FleetConfiguration> read_configuration(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(kMaxFileBytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.eof() || file.bad()) {
    return absl::NotFoundError(absl::StrCat("can't read configuration file ", path, ", or it is larger than ",
                                            kMaxFileBytes, " bytes"));
  }
  content.resize(static_cast<std::size_t>(file.gcount()));
  auto configuration = parse_configuration(content);
  if (!configuration.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("configuration file ", path, ": ", configuration.status().message()));
  }
  return configuration;
}

v1::Configuration configuration_for(const FleetConfiguration& fleet, std::string_view agent_id) {
  v1::Configuration configuration = fleet.shared;
  std::uint32_t id = 0;
  // 32 bits of it: exactly a share below 1 as a double.
  if (fleet.phase_spread && absl::SimpleHexAtoi(std::string(agent_id.substr(0, 8)), &id)) {
    configuration.set_phase(id / (double{std::numeric_limits<std::uint32_t>::max()} + 1));
  }
  return configuration;
}

}  // namespace siprof::collector
