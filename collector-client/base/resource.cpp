// SPDX-License-Identifier: Apache-2.0
// Precedence of SIPROF_*, OTEL_* and DD_* variables, and what is known of the
// process besides.
#include "collector-client/base/resource.h"

#include <unistd.h>

#include <algorithm>
#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/interpreter.h"
#include "collector-client/base/presentable.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

constexpr char kServiceName[] = "service.name";
constexpr char kServiceVersion[] = "service.version";
constexpr char kDeployment[] = "deployment.environment.name";

// An empty variable counts as unset, as OpenTelemetry has it.
std::string_view lookup(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

bool percent_decode(std::string_view text, std::string* out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out->push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || !absl::ascii_isxdigit(text[i + 1]) || !absl::ascii_isxdigit(text[i + 2])) {
      return false;
    }
    const std::string hex(text.substr(i + 1, 2));
    out->push_back(static_cast<char>(std::stoi(hex, nullptr, 16)));
    i += 2;
  }
  return true;
}

void read_list(const Environment& environment, const char* name, Attributes* out,
               std::vector<std::string>* warnings) {
  const std::string_view text = lookup(environment, name);
  if (text.empty() || parse_label_list(text, out)) return;
  if (warnings != nullptr) {
    warnings->push_back(absl::StrCat(name, " is left out: write k=v,k=v with , = and % percent-encoded"));
  }
}

// The first that isn't empty.
void set_first(Attributes* attributes, const char* key, std::initializer_list<std::string_view> candidates) {
  for (std::string_view candidate : candidates) {
    if (candidate.empty()) continue;
    (*attributes)[key] = std::string(candidate);
    return;
  }
  attributes->erase(key);
}

// Environments and file names hold any bytes; protobuf takes only UTF-8, and refuses the
// whole message for one byte that isn't.
Attributes presentable(const Attributes& attributes) {
  Attributes clean;
  for (const auto& [key, value] : attributes)
    clean.emplace(client::presentable(key), client::presentable(value));
  return clean;
}

bool is_container_digits(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isxdigit(c); });
}

// The last path component that is 64 hex digits, runtimes' prefixes and ".scope" aside.
std::string container_in_path(std::string_view path) {
  std::string found;
  for (std::string_view part : split(path, '/')) {
    strip_suffix(&part, ".scope");
    if (const std::size_t dash = part.rfind('-'); dash != std::string_view::npos)
      part.remove_prefix(dash + 1);
    if (is_container_digits(part)) found = std::string(part);
  }
  return found;
}

}  // namespace

Attributes resource_of(const ProcessFacts& facts, std::vector<std::string>* warnings) {
  const Environment& env = facts.environment;
  Attributes otel;
  read_list(env, "OTEL_RESOURCE_ATTRIBUTES", &otel, warnings);
  Attributes own;
  read_list(env, "SIPROF_LABELS", &own, warnings);

  Attributes result = otel;
  for (const auto& [key, value] : own) result[key] = value;
  const std::string fallback = default_service(facts.executable, facts.arguments);
  // --label doesn't outrank --service: the names have one source each.
  set_first(&result, kServiceName,
            {lookup(env, "SIPROF_SERVICE"), lookup(env, "OTEL_SERVICE_NAME"), lookup(otel, kServiceName),
             lookup(env, "DD_SERVICE"), fallback});
  set_first(&result, kServiceVersion,
            {lookup(env, "SIPROF_VERSION"), lookup(otel, kServiceVersion), lookup(env, "DD_VERSION")});
  set_first(&result, kDeployment,
            {lookup(env, "SIPROF_ENV"), lookup(otel, kDeployment), lookup(env, "DD_ENV")});
  if (!result.contains("host.name")) set_first(&result, "host.name", {facts.host_name});
  if (!result.contains("container.id")) {
    set_first(&result, "container.id", {container_id(facts.cgroup, facts.mountinfo)});
  }
  set_first(&result, "process.runtime.name", {facts.runtime_name});
  set_first(&result, "process.runtime.version", {facts.runtime_version});
  set_first(&result, "siprof.run.id", {facts.run_id});
  result["telemetry.sdk.name"] = "siprof";
  result["telemetry.sdk.version"] = SIPROF_VERSION;
  return presentable(result);
}

Environment parse_environment(std::string_view block) {
  Environment environment;
  for (std::string_view entry : split(block, '\0')) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

Environment own_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

bool parse_label_list(std::string_view text, Attributes* out) {
  Attributes labels;
  for (std::string_view pair : split(text, ',')) {
    if (trim(pair).empty()) continue;
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = trim(pair.substr(0, equals));
    std::string value;
    if (key.empty() || !percent_decode(trim(pair.substr(equals + 1)), &value)) return false;
    labels[std::string(key)] = std::move(value);
  }
  for (auto& [key, value] : labels) (*out)[key] = std::move(value);
  return true;
}

std::string container_id(std::string_view cgroup, std::string_view mountinfo) {
  for (std::string_view line : split(cgroup, '\n')) {
    if (std::string id = container_in_path(line); !id.empty()) return id;
  }
  for (std::string_view line : split(mountinfo, '\n')) {
    // cgroup v2 inside a container shows "/": the id still is in the mounts of
    // /etc/hostname and the like. Field 4 is the path on the host's file system.
    const std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() < 5 || !fields[4].starts_with("/etc/")) continue;
    if (std::string id = container_in_path(fields[3]); !id.empty()) return id;
  }
  return "";
}

}  // namespace siprof::client
