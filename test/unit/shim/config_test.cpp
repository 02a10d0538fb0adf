// SPDX-License-Identifier: Apache-2.0
#include "shim/core/config.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "proto/siprof/shared_memory.h"

namespace siprof::shim {
namespace {

// An environment whose strings can be written to, as execve leaves them.
class Started {
 public:
  explicit Started(std::vector<std::string> environment, std::vector<std::string> arguments = {"/bin/app"})
      : environment_(std::move(environment)), arguments_(std::move(arguments)) {
    std::vector<char*> envp;
    std::vector<char*> argv;
    for (std::string& entry : environment_) envp.push_back(entry.data());
    for (std::string& argument : arguments_) argv.push_back(argument.data());
    envp.push_back(nullptr);
    argv.push_back(nullptr);
    g_config = Config{};
    read_config(static_cast<int>(arguments_.size()), argv.data(), envp.data());
  }
  const std::string& entry(std::size_t index) const { return environment_[index]; }

 private:
  std::vector<std::string> environment_;
  std::vector<std::string> arguments_;
};

TEST_CASE("without variables the defaults hold") {
  Started started({"LANG=C"});
  CHECK(g_config.enabled);
  CHECK(g_config.follow_children);
  CHECK(g_config.rates.hz == 100);
  CHECK(g_config.rates.kinds == ((kAllKinds & ~kind_bit(EventKind::kWall)) | kMetricsBit));
  CHECK(g_config.rates.heap_interval_bytes == kDefaultHeapIntervalBytes);
  CHECK(g_config.rates.block_interval_ns == kDefaultBlockIntervalNs);
  CHECK_FALSE(g_config.explicit_socket);
  CHECK(g_config.environment_bytes == 0);
  CHECK(g_config.agent_hash == 0);
  CHECK(g_config.start_ns != 0);
}

TEST_CASE("a rate out of bounds or that is no number leaves the default") {
  const auto value = GENERATE("", "0", "1001", "-5", "100x", " 50", "4294967396", "99999999999999999999999");
  INFO(value);
  Started started({std::string("SIPROF_HZ=") + value});
  CHECK(g_config.enabled);
  CHECK(g_config.rates.hz == 100);
}

TEST_CASE("rates within the bounds are taken") {
  const auto [text, hz] =
      GENERATE(table<std::string, std::uint32_t>({{"1", 1}, {"0250", 250}, {"1000", 1000}}));
  Started started({"SIPROF_HZ=" + text});
  CHECK(g_config.rates.hz == hz);
}

TEST_CASE("kinds are words of a list, not parts of words") {
  static constexpr std::uint32_t kUsual = (kAllKinds & ~kind_bit(EventKind::kWall)) | kMetricsBit;
  static constexpr std::uint32_t kHeap = kind_bit(EventKind::kHeap);
  const auto [list, kinds] =
      GENERATE(table<std::string, std::uint32_t>({{"cpu", kKindCpu},
                                                  {"heap,cpu", kHeap | kKindCpu},
                                                  {",,cpu,", kKindCpu},
                                                  {"cpux", kUsual},  // no kind at all: the default
                                                  {"CPU", kUsual},
                                                  {"xcpu,heap", kHeap},
                                                  {"heap, cpu", kHeap | kKindCpu},
                                                  {" cpu ", kKindCpu},
                                                  {"", kUsual},  // as if not set
                                                  {"none", 0},
                                                  {"metrics", kMetricsBit},
                                                  {"cpu,metrics", kKindCpu | kMetricsBit},
                                                  {"wall,lock,io,errors,heap,cpu", kAllKinds},
                                                  {"heap", kHeap}}));
  INFO(list);
  Started started({"SIPROF_KINDS=" + list});
  CHECK(g_config.rates.kinds == kinds);
}

TEST_CASE("intervals are whole numbers with a unit, within their bounds") {
  const auto [entry, heap, block] = GENERATE(table<std::string, std::uint64_t, std::uint64_t>(
      {{"SIPROF_HEAP_INTERVAL=1", 1, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=64KiB", 65536, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=2G", 1ull << 31, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=1T", 1ull << 40, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=2T", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=0", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=64 KiB", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_HEAP_INTERVAL=99999999999999999999", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_BLOCK_INTERVAL=250us", kDefaultHeapIntervalBytes, 250'000},
       {"SIPROF_BLOCK_INTERVAL=2s", kDefaultHeapIntervalBytes, 2'000'000'000},
       {"SIPROF_BLOCK_INTERVAL=999ns", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_BLOCK_INTERVAL=2m", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs},
       {"SIPROF_BLOCK_INTERVAL=5", kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs}}));
  INFO(entry);
  Started started({entry});
  CHECK(g_config.rates.heap_interval_bytes == heap);
  CHECK(g_config.rates.block_interval_ns == block);
}

TEST_CASE("either switch turns everything off, by its own values only") {
  const auto [entry, on] = GENERATE(table<std::string, bool>({{"SIPROF_DISABLED=1", false},
                                                              {"SIPROF_DISABLED=true", false},
                                                              {"SIPROF_DISABLED=On", false},
                                                              {"SIPROF_DISABLED=yes", false},
                                                              {"SIPROF_DISABLED=yess", true},
                                                              {"SIPROF_DISABLED=ye", true},
                                                              {"SIPROF_DISABLED=0", true},
                                                              {"OTEL_SDK_DISABLED=TRUE", false},
                                                              {"SIPROF_DISABLED=", true},
                                                              {"OTEL_SDK_DISABLED=true", false},
                                                              {"OTEL_SDK_DISABLED=1", true},
                                                              {"XSIPROF_DISABLED=1", true}}));
  INFO(entry);
  Started started({entry});
  CHECK(g_config.enabled == on);
}

TEST_CASE("SIPROF_FOLLOW=0 profiles this process and tells its children not to") {
  Started parent({"A=1", "SIPROF_FOLLOW=0"});
  CHECK(g_config.enabled);
  CHECK_FALSE(g_config.follow_children);
  CHECK(parent.entry(1) == "SIPROF_FOLLOW=-");
  Started child({parent.entry(0), parent.entry(1)});
  CHECK_FALSE(g_config.enabled);
}

TEST_CASE("SIPROF_FOLLOW=false is the same, in place") {
  Started parent({"SIPROF_FOLLOW=false"});
  CHECK_FALSE(g_config.follow_children);
  CHECK(std::string(parent.entry(0).c_str()) == "SIPROF_FOLLOW=-");
}

TEST_CASE("an empty variable counts as not set") {
  Started started({"SIPROF_AGENT_SOCKET=", "SIPROF_HZ=", "XDG_STATE_HOME="});
  CHECK(g_config.enabled);
  CHECK_FALSE(g_config.explicit_socket);
  CHECK(g_config.rates.hz == 100);
  CHECK(captured("SIPROF_AGENT_SOCKET") == nullptr);
  CHECK(captured("XDG_STATE_HOME") == nullptr);
}

TEST_CASE("only what the agent needs is taken from the environment") {
  Started started(
      {"SECRET_KEY=x", "SIPROF_TOKEN=t", "HOMER=no", "HOME=/srv", "DD_ENVOY=no", "DD_ENV=prod", "SIPROF"});
  CHECK(captured("SIPROF_TOKEN") == std::string("t"));
  CHECK(captured("HOME") == std::string("/srv"));
  CHECK(captured("DD_ENV") == std::string("prod"));
  CHECK(captured("SECRET_KEY") == nullptr);
  CHECK(captured("HOMER") == nullptr);
  CHECK(captured("DD_ENVOY") == nullptr);
  CHECK(captured("SIPROF_TOKE") == nullptr);
}

TEST_CASE("a variable too large to keep is left out whole, the others stay") {
  const std::string huge(sizeof(Config::environment), 'x');
  Started started({"SIPROF_SERVICE=shop", "OTEL_RESOURCE_ATTRIBUTES=" + huge, "SIPROF_AGENT_SOCKET=@x"});
  CHECK(captured("SIPROF_SERVICE") == std::string("shop"));
  CHECK(captured("OTEL_RESOURCE_ATTRIBUTES") == nullptr);
  CHECK(captured("SIPROF_AGENT_SOCKET") == std::string("@x"));
  CHECK(g_config.explicit_socket);
  CHECK(g_config.environment_bytes <= sizeof(Config::environment));
}

TEST_CASE("a variable that fits to the last byte is kept") {
  const std::string name = "SIPROF_LABELS=";
  const std::string value(sizeof(Config::environment) - name.size() - 1, 'x');
  Started started({name + value});
  REQUIRE(captured("SIPROF_LABELS") != nullptr);
  CHECK(captured("SIPROF_LABELS") == value);
  CHECK(g_config.environment_bytes == sizeof(Config::environment));
}

TEST_CASE("arguments are kept as far as they fit") {
  Started started({}, {"app", std::string(sizeof(Config::argv) - 6, 'a'), "b", "c"});
  CHECK(g_config.argv_bytes == sizeof(Config::argv) - 1);
  CHECK(std::string(g_config.argv) == "app");
}

TEST_CASE("processes share an agent iff their agent's options are equal, in any order") {
  const auto hash_of = [](std::vector<std::string> environment) {
    Started started(std::move(environment));
    return g_config.agent_hash;
  };
  const auto both = hash_of({"SIPROF_COLLECTOR=http://a", "SIPROF_WINDOW=1s"});
  CHECK(both == hash_of({"SIPROF_WINDOW=1s", "PATH=/bin", "SIPROF_HZ=7", "SIPROF_COLLECTOR=http://a"}));
  CHECK(both != hash_of({"SIPROF_COLLECTOR=http://b", "SIPROF_WINDOW=1s"}));
  CHECK(both != hash_of({"SIPROF_COLLECTOR=http://a"}));
}

}  // namespace
}  // namespace siprof::shim
