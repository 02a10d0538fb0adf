// SPDX-License-Identifier: Apache-2.0
// The attributes of a profiled process (OpenTelemetry's names): what identifies
// its series in the store. Computed once per process from what the agent read
// of it; nothing here touches the system.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace siprof::client {

using Attributes = std::map<std::string, std::string>;
using Environment = std::map<std::string, std::string>;

struct ProcessFacts {
  Environment environment;
  std::string executable;  // as /proc/PID/exe names it
  std::vector<std::string> arguments;
  std::string host_name;
  std::string cgroup;     // text of /proc/PID/cgroup
  std::string mountinfo;  // text of /proc/PID/mountinfo
  std::string runtime_name = "glibc";
  std::string runtime_version;  // "2.36"
  std::string run_id;           // siprof.run.id: one per `record` or `run`
};

// Sources by precedence: SIPROF_*, OTEL_*, DD_* (docs/configuration.md). A
// variable that cannot be decoded is left out whole and named in `warnings`. Keys and
// values are presentable().
Attributes resource_of(const ProcessFacts& facts, std::vector<std::string>* warnings);

// "NAME=value" entries separated by NUL, as in /proc/PID/environ. The first of
// a repeated name wins, as with getenv.
Environment parse_environment(std::string_view block);
// This process's own.
Environment own_environment();

// "k=v,k=v" with percent-encoded values. Errors: false, `out` untouched.
bool parse_label_list(std::string_view text, Attributes* out);

// 64 hex digits out of a container's cgroup path or its mounts; empty: none.
std::string container_id(std::string_view cgroup, std::string_view mountinfo);

}  // namespace siprof::client
