// SPDX-License-Identifier: Apache-2.0
// A process's attributes, by the precedence of the contract.
#include "collector-client/base/resource.h"

#include <catch2/catch.hpp>

#include "collector-client/base/interpreter.h"

namespace siprof::client {
namespace {

ProcessFacts facts_of(Environment environment) {
  ProcessFacts facts;
  facts.environment = std::move(environment);
  facts.executable = "/usr/bin/app";
  facts.host_name = "web-1";
  facts.runtime_version = "2.36";
  facts.run_id = "r1";
  return facts;
}

const std::string kId(64, 'a');

}  // namespace

TEST_CASE("the first source that is set names service, version and environment") {
  Environment env = {
      {"OTEL_RESOURCE_ATTRIBUTES", "service.name=o,service.version=o2,deployment.environment.name=o3,team=x"},
      {"DD_SERVICE", "d"},
      {"DD_VERSION", "d2"},
      {"DD_ENV", "d3"}};
  Attributes a = resource_of(facts_of(env), nullptr);
  CHECK(a["service.name"] == "o");
  CHECK(a["service.version"] == "o2");
  CHECK(a["deployment.environment.name"] == "o3");
  CHECK(a["team"] == "x");
  env["OTEL_SERVICE_NAME"] = "p";
  CHECK(resource_of(facts_of(env), nullptr)["service.name"] == "p");
  env["SIPROF_SERVICE"] = "s";
  env["SIPROF_VERSION"] = "s2";
  env["SIPROF_ENV"] = "s3";
  env["SIPROF_LABELS"] = "team=y,service.name=no";
  a = resource_of(facts_of(env), nullptr);
  CHECK(a["service.name"] == "s");
  CHECK(a["service.version"] == "s2");
  CHECK(a["deployment.environment.name"] == "s3");
  CHECK(a["team"] == "y");
}

TEST_CASE("texts that aren't UTF-8 become such that are, wherever they come from") {
  ProcessFacts facts =
      facts_of({{"SIPROF_LABELS", "team=%ff,caf\xe9=x,nul=a%00b"}, {"SIPROF_VERSION", "\xe9t\xe9"}});
  facts.executable = "/usr/bin/caf\xe9";
  const Attributes a = resource_of(facts, nullptr);
  CHECK(a.at("service.name") == "caf\xEF\xBF\xBD");
  CHECK(a.at("service.version") == "\xEF\xBF\xBDt\xEF\xBF\xBD");
  CHECK(a.at("team") == "\xEF\xBF\xBD");
  CHECK(a.at("caf\xEF\xBF\xBD") == "x");
  CHECK(a.at("nul") ==
        "a\xEF\xBF\xBD"
        "b");
}

TEST_CASE("without variables the resource is what is known of the process") {
  const Attributes a = resource_of(facts_of({{"SIPROF_SERVICE", ""}}), nullptr);
  CHECK(a == Attributes{{"service.name", "app"},
                        {"host.name", "web-1"},
                        {"process.runtime.name", "glibc"},
                        {"process.runtime.version", "2.36"},
                        {"siprof.run.id", "r1"},
                        {"telemetry.sdk.name", "siprof"},
                        {"telemetry.sdk.version", SIPROF_VERSION}});
}

TEST_CASE("a list that cannot be decoded is left out whole and named") {
  std::vector<std::string> warnings;
  const Attributes a = resource_of(
      facts_of({{"OTEL_RESOURCE_ATTRIBUTES", "a=1,b=%zz"}, {"SIPROF_LABELS", "c=%2C%3D%25, d = e "}}),
      &warnings);
  CHECK_FALSE(a.contains("a"));
  CHECK(a.at("c") == ",=%");
  CHECK(a.at("d") == "e");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("OTEL_RESOURCE_ATTRIBUTES") == 0);
  Attributes out = {{"kept", "1"}};
  CHECK_FALSE(parse_label_list("novalue", &out));
  CHECK_FALSE(parse_label_list("=x", &out));
  CHECK_FALSE(parse_label_list("a=%2", &out));
  CHECK(out == Attributes{{"kept", "1"}});
}

TEST_CASE("an environment block is read with the first of a repeated name") {
  using namespace std::string_literals;
  const Environment env = parse_environment("A=1\0A=2\0B=x=y\0junk\0=z\0C=\0"s);
  CHECK(env == Environment{{"A", "1"}, {"B", "x=y"}, {"C", ""}});
}

TEST_CASE("an interpreter's service is its script") {
  const auto service = [](const char* exe, std::vector<std::string> args) {
    return default_service(exe, args);
  };
  CHECK(service("/usr/bin/python3.11", {"python3", "-u", "-X", "dev", "/srv/shop.py", "--port", "1"}) ==
        "shop");
  CHECK(service("/usr/bin/python3.11", {"python3", "-m", "http.server"}) == "http.server");
  CHECK(service("/usr/bin/python3.11", {"python3", "-mhttp.server"}) == "http.server");
  CHECK(service("/usr/bin/python3.11", {"python3", "-c", "print(1)"}) == "python3.11");
  CHECK(service("/usr/bin/python3.11", {"python3", "app/__main__.py"}) == "app");
  CHECK(service("/usr/bin/bash", {"bash", "-e", "run.sh"}) == "run");
  CHECK(service("/usr/bin/bash", {"bash", "-ec", "true"}) == "bash");
  CHECK(service("/usr/bin/perl", {"perl", "-w", "--", "x.pl"}) == "x");
  CHECK(service("/usr/bin/redis-server", {"redis-server", "conf"}) == "redis-server");
  CHECK(service("/usr/bin/app (deleted)", {"app"}) == "app");
  CHECK(service("", {}) == "unknown");
}

TEST_CASE("a container's id is found in its cgroup or its mounts") {
  CHECK(container_id("0::/system.slice/docker-" + kId + ".scope\n", "") == kId);
  CHECK(container_id("12:cpu:/kubepods/besteffort/pod1/" + kId + "\n", "") == kId);
  CHECK(container_id("0::/\n", "1 2 8:1 /var/lib/docker/containers/" + kId +
                                   "/hostname /etc/hostname rw - ext4 x rw\n") == kId);
  CHECK(container_id("0::/user.slice\n", "1 2 8:1 /var/lib/docker/overlay2/" + kId + "/merged / rw - x\n")
            .empty());
}

}  // namespace siprof::client
