// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/status.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

namespace siprof::client {
namespace {

nlohmann::json process_status(const Session& session) {
  const SharedCounters counters = session.counters();
  nlohmann::json values = nlohmann::json::object();
#define SIPROF_COUNTER_JSON(name, help) values[#name] = counters[static_cast<std::uint32_t>(Counter::name)];
  SIPROF_COUNTERS(SIPROF_COUNTER_JSON)
#undef SIPROF_COUNTER_JSON
  return {{"pid", session.view().message().pid},
          {"service", session.service()},
          {"executable", session.view().executable()},
          {"hz", session.rates().hz},
          {"cpu", (session.rates().kinds & kKindCpu) != 0},
          {"samples", session.samples()},
          {"counters", values}};
}

nlohmann::json tables_status(const TableBuilder& tables) {
  return {{"rows", tables.rows()},
          {"bytes", tables.arena() != nullptr ? tables.arena()->bytes() : 0},
          {"from_disk", tables.loaded()},
          {"waiting", tables.waiting()}};
}

}  // namespace

std::string status_text(const std::vector<std::unique_ptr<Session>>& sessions, const TableBuilder& tables,
                        const Exporter& exporter, std::uint64_t attached, std::uint64_t refused) {
  nlohmann::json processes = nlohmann::json::array();
  for (const auto& session : sessions) processes.push_back(process_status(*session));
  const nlohmann::json status = {{"agent_pid", getpid()},          {"version", SIPROF_VERSION},
                                 {"attached", attached},           {"refused", refused},
                                 {"processes", processes},         {"unwind_tables", tables_status(tables)},
                                 {"exporter", exporter.counters()}};
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace siprof::client
