// SPDX-License-Identifier: Apache-2.0
// The files an operator writes: configuration and tokens.
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "collector/ingest/configuration.h"
#include "collector/ingest/reloadable.h"
#include "collector/ingest/token_file.h"
#include "test/collector/ingest_support.h"

namespace siprof::collector {
namespace {

std::string complaint(const std::string& json) {
  return std::string(parse_configuration(json).status().message());
}

TEST_CASE("a configuration says all that it may say") {
  const auto read = parse_configuration(R"({"phase_spread": false, "min_send_interval": "250ms", "services": [
      {"service": "shop", "kinds": "cpu,heap", "hz": 250, "heap_interval": 1, "block_interval": "1ms", "budget": "0.5%"},
      {"service": "*", "kinds": "none", "budget": "off"}]})");
  REQUIRE(read.ok());
  const v1::Configuration sent = configuration_for(*read, std::string(32, 'f'));
  CHECK(sent.phase() == 0);
  CHECK(sent.min_send_interval_nanos() == 250'000'000);
  REQUIRE(sent.services_size() == 2);
  CHECK(sent.services(0).service() == "shop");
  CHECK(sent.services(0).kinds() == "cpu,heap");
  CHECK(sent.services(0).hz() == 250);
  CHECK(sent.services(0).heap_interval_bytes() == 1);
  CHECK(sent.services(0).block_interval_nanos() == 1'000'000);
  CHECK(sent.services(0).budget() == "0.5%");
  CHECK(sent.services(1).service().empty());
  CHECK(sent.services(1).kinds() == "none");
  CHECK_FALSE(sent.services(1).has_hz());
}

TEST_CASE("the example of docs/configuration.md is a configuration") {
  const char* source = std::getenv("SIPROF_SOURCE");  // set by meson
  REQUIRE(source != nullptr);
  std::ifstream file(source + std::string("/docs/configuration.md"));
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = page.find("```json\n");
  REQUIRE(begin != std::string::npos);
  const std::string example = page.substr(begin + 8, page.find("```\n", begin + 8) - begin - 8);
  CHECK(complaint(example).empty());
  CHECK(parse_configuration(example)->shared.services_size() == 3);
}

TEST_CASE("an empty configuration leaves everything to the agents") {
  const auto read = parse_configuration("{}");
  REQUIRE(read.ok());
  CHECK(read->shared.services_size() == 0);
  CHECK(read->shared.generation() > 0);
}

TEST_CASE("a mistake in the configuration is named by its key") {
  CHECK(complaint("{").find("not JSON: ") == 0);
  CHECK(complaint("[]") == "configuration: write one JSON object");
  CHECK(complaint(R"({"service": []})").find("service: no such key; there are") == 0);
  CHECK(complaint(R"({"phase_spread": 1})") == "phase_spread: write true or false");
  CHECK(complaint(R"({"min_send_interval": "-1s"})").find("min_send_interval: write a time") == 0);
  CHECK(complaint(R"({"services": {}})").find("services: write a list") == 0);
  CHECK(complaint(R"({"services": [7]})") == "services[0]: write an object");
  CHECK(complaint(R"({"services": [{"hz": 1}]})").find("services[0]: needs a \"service\"") == 0);
  CHECK(complaint(R"({"services": [{"service": ""}]})").find("services[0].service: write") == 0);
  CHECK(complaint(R"({"services": [{"service": "a", "hertz": 1}]})").find("services[0].hertz: no such key") ==
        0);
  for (const char* hz : {"0", "1001", "-1", "1.5", "\"9\"", "null"}) {
    CHECK(complaint(std::string(R"({"services": [{"service": "a", "hz": )") + hz + "}]}") ==
          "services[0].hz: write a whole number from 1 to 1000");
  }
  CHECK(
      complaint(R"({"services": [{"service": "a", "kinds": "cpu,gpu"}]})").find("services[0].kinds: write") ==
      0);
  CHECK(complaint(R"({"services": [{"service": "a", "block_interval": 5}]})")
            .find("services[0].block_interval") == 0);
  for (const char* budget : {"1", "0%", "101%", "%", "nan%"}) {
    CHECK(complaint(std::string(R"({"services": [{"service": "a", "budget": ")") + budget + "\"}]}")
              .find("services[0].budget: write") == 0);
  }
  CHECK(complaint(R"({"services": [{"service": "*"}, {"service": "a"}]})")
            .find("services[1]: is never reached") == 0);
}

TEST_CASE("agents get different shares of the window, the same one each time") {
  const auto fleet = parse_configuration("{}");
  REQUIRE(fleet.ok());
  const auto phase = [&fleet](const char* start) {
    return configuration_for(*fleet, start + std::string(24, '0')).phase();
  };
  CHECK(phase("00000000") == 0);
  CHECK(phase("80000000") == 0.5);
  CHECK(phase("ffffffff") < 1);
  CHECK(phase("40000000") == phase("40000000"));
}

TEST_CASE("a later configuration has a higher generation") {
  const auto first = parse_configuration("{}"), second = parse_configuration("{}");
  CHECK(second->shared.generation() > first->shared.generation());
}

TEST_CASE("a token file holds one token a line") {
  const TemporaryFolder folder;
  const auto tokens = TokenSet::read(folder.write("tokens", "# of the shop\nalpha\n\n  beta  \r\n#gamma\n"));
  REQUIRE(tokens.ok());
  for (const char* good : {"alpha", "beta"}) CHECK(tokens->contains(good));
  for (const char* bad : {"", "alph", "alphaa", "gamma", "#gamma", "# of the shop", "ALPHA", "alpha\n"}) {
    CHECK_FALSE(tokens->contains(bad));
  }
}

TEST_CASE("a token file that is open to others, for its group to write, empty or no file is refused") {
  const TemporaryFolder folder;
  const std::string path = folder.write("tokens", "alpha\n");
  for (const mode_t mode : {0604, 0602, 0666}) {
    chmod(path.c_str(), mode);
    CHECK(TokenSet::read(path).status().message() ==
          "token file " + path + " can be read or written by every user: chmod o-rw " + path);
  }
  for (const mode_t mode : {0620, 0660}) {
    chmod(path.c_str(), mode);
    CHECK(TokenSet::read(path).status().message() ==
          "token file " + path + " can be written by its group: chmod g-w " + path);
  }
  chmod(path.c_str(), 0640);
  CHECK(TokenSet::read(path).ok());
  CHECK(absl::IsNotFound(TokenSet::read(folder.path("none")).status()));
  CHECK_FALSE(TokenSet::read(folder.write("empty", "# nothing\n")).ok());
  std::filesystem::create_directory(folder.path("folder"));
  CHECK_FALSE(TokenSet::read(folder.path("folder")).ok());
  const absl::Status two_words = TokenSet::read(folder.write("words", "one\nse cret\n")).status();
  CHECK(std::string(two_words.message()).find("line 2") != std::string::npos);
  CHECK(std::string(two_words.message()).find("cret") == std::string::npos);
}

TEST_CASE("a value is reread when its file changes and kept when the file breaks") {
  const TemporaryFolder folder;
  const std::string path = folder.write("tokens", "alpha\n");
  Reloadable<TokenSet> tokens(path, TokenSet(), TokenSet::read);
  REQUIRE(tokens.look(Look::kAlways).ok());
  CHECK(*tokens.look(Look::kIfChanged) == Reloaded::kUnchanged);

  folder.write("tokens", "gamma\n");
  CHECK(*tokens.look(Look::kIfChanged) == Reloaded::kNew);
  CHECK(tokens.get()->contains("gamma"));
  CHECK_FALSE(tokens.get()->contains("alpha"));

  folder.write("tokens", "");
  CHECK_FALSE(tokens.look(Look::kIfChanged).ok());
  CHECK(tokens.get()->contains("gamma"));
  CHECK(*tokens.look(Look::kIfChanged) == Reloaded::kUnchanged);  // said once, not each second

  std::filesystem::remove(path);
  CHECK_FALSE(tokens.look(Look::kIfChanged).ok());
  CHECK(tokens.get()->contains("gamma"));
}

}  // namespace
}  // namespace siprof::collector
