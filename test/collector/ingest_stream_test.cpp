// SPDX-License-Identifier: Apache-2.0
// The stream as an agent sees it: greeting, acks, refusals, and a collector that
// survives all of it.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "test/collector/ingest_raw_call.h"
#include "test/collector/ingest_raw_socket.h"
#include "test/collector/ingest_support.h"

namespace siprof::collector {
namespace {

using grpc::StatusCode;

// The proof that the collector is unharmed: another agent gets its profile stored.
void check_serves(TestServer& server) {
  static std::uint64_t sequence = 1'000'000;
  const std::size_t before = server.store.stored();
  TestAgent agent(server.channel());
  agent.greet();
  REQUIRE(agent.send(sample_profile(++sequence)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  CHECK(agent.close().ok());
  CHECK(server.store.stored() == before + 1);
}

TEST_CASE("a profile is acknowledged after the store has it, with everything that was sent") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  server.store.hold();
  const v1::Profile sent = sample_profile(7);
  REQUIRE(agent.send(sent));
  REQUIRE(eventually([&] { return server.counter("siprof_ingest_profiles_received_total") == 1; }));
  CHECK(server.counter("siprof_ingest_profiles_stored_total") == 0);
  server.store.release();
  const v1::Ack ack = agent.next_ack();
  CHECK(ack.sequence() == 7);
  CHECK(ack.result() == v1::Ack::STORED);
  CHECK(agent.close().ok());

  REQUIRE(server.store.stored() == 1);
  const IncomingProfile stored = server.store.profiles().front();
  CHECK(stored.agent_id == kAgentId);
  CHECK(stored.sequence == 7);
  CHECK(stored.kind == "cpu");
  CHECK(stored.start_unix_ns == sent.start_unix_nanos());
  CHECK(stored.duration_ns == 10'000'000'000);
  CHECK(stored.attributes.at("service.name") == "shop");
  CHECK(stored.counters.at("taken") == 7);
  CHECK(stored.profile.sample_size() == 2);
}

TEST_CASE("many profiles go to the store in few batches and are all acknowledged in order") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  for (std::uint64_t sequence = 1; sequence <= 1'000; ++sequence)
    REQUIRE(agent.send(sample_profile(sequence)));
  for (std::uint64_t sequence = 1; sequence <= 1'000; ++sequence)
    REQUIRE(agent.next_ack().sequence() == sequence);
  CHECK(agent.close().ok());
  CHECK(server.store.stored() == 1'000);
  CHECK(server.store.largest_batch() > 1);
  CHECK(server.store.largest_batch() <= IngestOptions().batch_profiles);
}

TEST_CASE("what is delivered twice counts once, on the same stream and on a new one") {
  TestServer server;
  for (const auto expected : {v1::Ack::STORED, v1::Ack::DUPLICATE}) {
    TestAgent agent(server.channel());
    agent.greet();
    REQUIRE(agent.send(sample_profile(1)));
    CHECK(agent.next_ack().result() == expected);
    REQUIRE(agent.send(sample_profile(1)));
    CHECK(agent.next_ack().result() == v1::Ack::DUPLICATE);
    CHECK(agent.close().ok());
  }
  TestAgent other(server.channel());
  other.greet(std::string(32, 'a'));
  REQUIRE(other.send(sample_profile(1)));
  CHECK(other.next_ack().result() == v1::Ack::STORED);
  CHECK(server.store.stored() == 2);
  CHECK(server.counter("siprof_ingest_profiles_duplicate_total") == 3);
}

TEST_CASE("a store that can't write ends the stream without an ack; sent again, nothing is lost") {
  TestServer server;
  for (const auto& error : {absl::ResourceExhaustedError("disk full"), absl::UnavailableError("locked")}) {
    server.store.fail_with(error);
    TestAgent agent(server.channel());
    agent.greet();
    for (const std::uint64_t sequence : {1, 2, 3}) REQUIRE(agent.send(sample_profile(sequence)));
    CHECK_FALSE(agent.receive().has_value());
    const grpc::Status status = agent.status();
    CHECK(status.error_code() == StatusCode::UNAVAILABLE);
    CHECK(status.error_message().find(std::string(error.message())) != std::string::npos);
  }
  CHECK(server.store.stored() == 0);
  server.store.fail_with(absl::OkStatus());
  TestAgent agent(server.channel());
  agent.greet();
  for (const std::uint64_t sequence : {1, 2, 3}) {
    REQUIRE(agent.send(sample_profile(sequence)));
    CHECK(agent.next_ack().result() == v1::Ack::STORED);
  }
  CHECK(agent.close().ok());
}

TEST_CASE("what the store refuses for good is rejected with its reason") {
  TestServer server;
  server.store.fail_with(absl::OutOfRangeError("older than the retention"));
  TestAgent agent(server.channel());
  agent.greet();
  REQUIRE(agent.send(sample_profile(1)));
  const v1::Ack ack = agent.next_ack();
  CHECK(ack.result() == v1::Ack::REJECTED);
  CHECK(ack.reason() == "older than the retention");
  CHECK(server.counter("siprof_ingest_profiles_rejected_total", "store") == 1);
}

TEST_CASE("a corrupt profile is rejected with a reason and the stream goes on") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  v1::Profile broken = sample_profile(1);
  broken.set_pprof_gzip("not a profile");
  REQUIRE(agent.send(broken));
  const v1::Ack ack = agent.next_ack();
  CHECK(ack.result() == v1::Ack::REJECTED);
  CHECK(ack.reason() == "pprof: malformed protobuf in the profile");
  REQUIRE(agent.send(sample_profile(2)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  CHECK(server.counter("siprof_ingest_profiles_rejected_total", "corrupt") == 1);
}

TEST_CASE("a bad greeting ends the stream and says why") {
  TestServer server;
  const auto end_after = [&](const std::string& id, std::uint32_t version) {
    TestAgent agent(server.channel());
    agent.send_hello(id, version);
    return agent.status();
  };
  const grpc::Status version = end_after(kAgentId, 2);
  CHECK(version.error_code() == StatusCode::FAILED_PRECONDITION);
  CHECK(version.error_message().find("speaks protocol version 1, the agent version 2") != std::string::npos);
  for (const std::string& id :
       {std::string(), std::string(31, 'a'), std::string(33, 'a'), std::string(32, 'G')}) {
    CHECK(end_after(id, 1).error_code() == StatusCode::INVALID_ARGUMENT);
  }
  TestAgent no_hello(server.channel());
  no_hello.send(sample_profile(1));
  CHECK(no_hello.status().error_message() == "the first message has to be hello");
  TestAgent twice(server.channel());
  twice.greet();
  twice.send_hello();
  CHECK(twice.status().error_message() == "a second hello");
  TestAgent empty(server.channel());
  empty.greet();
  empty.send(v1::AgentMessage());
  CHECK(empty.status().error_code() == StatusCode::INVALID_ARGUMENT);
  check_serves(server);
}

TEST_CASE("a stream that says nothing is ended") {
  IngestOptions options;
  options.hello_timeout = absl::Milliseconds(100);
  TestServer server(options);
  TestAgent agent(server.channel());
  const grpc::Status status = agent.status();
  CHECK(status.error_code() == StatusCode::DEADLINE_EXCEEDED);
  CHECK(status.error_message() == "no hello in time");
  CHECK(eventually([&] { return server.counter("siprof_ingest_streams") == 0; }));
}

TEST_CASE("bytes that are no message end the stream and harm nobody") {
  TestServer server;
  const RawAnswer answer = raw_call(server.channel(), "/siprof.v1.Collector/Connect", "\xff\xff\xff garbage");
  CHECK(answer.status.error_code() == StatusCode::INVALID_ARGUMENT);
  CHECK(answer.status.error_message() == "not a siprof.v1.AgentMessage");
  check_serves(server);
}

TEST_CASE("a message above the limit ends the stream with RESOURCE_EXHAUSTED") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  v1::Profile large = sample_profile(1);
  large.set_pprof_gzip(std::string((8U << 20) + 1, 'x'));
  agent.send(large);
  CHECK(agent.status().error_code() == StatusCode::RESOURCE_EXHAUSTED);
  check_serves(server);
}

TEST_CASE("garbage on the port, HTTP/1 and silence leave the collector unharmed") {
  TestServer server;
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(4'096, '\xff'),
        std::string("\x16\x03\x01\x02"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string(2'000, '\x7f')}) {
    send_and_hang_up(server.server->port(), bytes);
  }
  check_serves(server);
  CHECK(server.counter("siprof_ingest_profiles_stored_total") == 1);
}

TEST_CASE("streams beyond the limit are refused, and let in when there is room again") {
  IngestOptions options;
  options.max_streams = 2;
  TestServer server(options);
  {
    TestAgent first(server.channel()), second(server.channel());
    first.greet();
    second.greet();
    TestAgent third(server.channel());
    CHECK(third.status().error_code() == StatusCode::RESOURCE_EXHAUSTED);
    CHECK(server.counter("siprof_ingest_streams") == 2);
  }
  REQUIRE(eventually([&] { return server.counter("siprof_ingest_streams") == 0; }));
  check_serves(server);
}

TEST_CASE("a full queue stops reading; when the store goes on, all arrives once") {
  IngestOptions options;
  options.max_queue_bytes = 20'000;
  options.batch_profiles = 8;
  TestServer server(options);
  server.store.hold();
  constexpr std::uint64_t kProfiles = 100;
  std::vector<std::unique_ptr<TestAgent>> agents;
  for (int i = 0; i < 8; ++i) {
    agents.push_back(std::make_unique<TestAgent>(server.channel()));
    agents.back()->greet(absl::StrCat(std::string(31, '0'), i));
    for (std::uint64_t sequence = 1; sequence <= kProfiles; ++sequence) {
      REQUIRE(agents.back()->send(sample_profile(sequence)));
    }
  }
  absl::SleepFor(absl::Milliseconds(300));
  const double received = server.counter("siprof_ingest_profiles_received_total");
  CHECK(received < 100);
  CHECK(server.counter("siprof_ingest_queue_bytes") < 40'000);
  server.store.release();
  for (const auto& agent : agents) {
    for (std::uint64_t sequence = 1; sequence <= kProfiles; ++sequence) {
      const v1::Ack ack = agent->next_ack();
      REQUIRE(ack.sequence() == sequence);
      REQUIRE(ack.result() == v1::Ack::STORED);
    }
    CHECK(agent->close().ok());
  }
  CHECK(server.store.stored() == 8 * kProfiles);
}

TEST_CASE("a stop acknowledges what was read and tells the agents to come back") {
  TestServer server;
  TestAgent agent(server.channel());
  agent.greet();
  server.store.hold();
  REQUIRE(agent.send(sample_profile(1)));
  REQUIRE(eventually([&] { return server.counter("siprof_ingest_profiles_received_total") == 1; }));
  server.store.release();
  server.server->stop();
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  CHECK(agent.status().error_code() == StatusCode::UNAVAILABLE);
}

TEST_CASE("a port that is taken is an error, not half of the streams") {
  TestServer server;
  FakeStore store;
  prometheus::Registry registry;
  IngestOptions options;
  options.address = server.address();
  const auto second = IngestServer::start(options, store, registry);
  REQUIRE_FALSE(second.ok());
  CHECK(std::string(second.status().message()).find("can't listen on --grpc 127.0.0.1:") == 0);
}

TEST_CASE("health follows the store, and reflection names the service") {
  TestServer server;
  const std::string ask = std::string("\x0a\x13") + "siprof.v1.Collector";
  const auto health = [&] { return raw_call(server.channel(), "/grpc.health.v1.Health/Check", ask).message; };
  const std::string serving = "\x08\x01", not_serving = "\x08\x02";
  CHECK(eventually([&] { return health() == serving; }));
  server.store.fail_with(absl::UnavailableError("disk full"));
  CHECK(eventually([&] { return health() == not_serving; }));
  server.store.fail_with(absl::OkStatus());
  CHECK(eventually([&] { return health() == serving; }));

  const std::string list_services = "\x3a\x01*";
  const RawAnswer answer = raw_call(
      server.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", list_services);
  CHECK(answer.status.ok());
  CHECK(answer.message.find("siprof.v1.Collector") != std::string::npos);
  CHECK(answer.message.find("grpc.health.v1.Health") != std::string::npos);
  const std::string by_symbol = std::string("\x22\x13") + "siprof.v1.Collector";
  CHECK(
      raw_call(server.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", by_symbol)
          .message.find("AgentMessage") != std::string::npos);
}

TEST_CASE("a changed configuration reaches every agent, a broken one nobody") {
  const TemporaryFolder folder;
  IngestOptions options;
  options.configuration_file = folder.write("c.json", R"({"services": [{"service": "shop", "hz": 100}]})");
  TestServer server(options);
  TestAgent first(server.channel()), second(server.channel());
  const v1::Configuration before = first.greet();
  CHECK(before.services(0).hz() == 100);
  CHECK(before.phase() == Approx(0x01234567 / 4294967296.0));
  CHECK(second.greet(std::string(32, 'c')).phase() == Approx(0.8));

  folder.write("c.json", R"({"services": [{"service": "shop", "hz": 0}]})");
  REQUIRE(eventually([&] { return server.counter("siprof_ingest_reload_failures_total") == 1; }));
  folder.write("c.json",
               R"({"phase_spread": false, "services": [{"service": "shop", "kinds": "none", "hz": 250}]})");
  for (TestAgent* agent : {&first, &second}) {
    const v1::Configuration after = agent->next_configuration();
    CHECK(after.generation() > before.generation());
    CHECK(after.services(0).hz() == 250);
    CHECK(after.services(0).kinds() == "none");
    CHECK(after.phase() == 0);
  }
  server.server->reload();  // as SIGHUP: sent again
  CHECK(first.next_configuration().services(0).hz() == 250);
}

TEST_CASE("a configuration that is broken from the start doesn't start") {
  const TemporaryFolder folder;
  FakeStore store;
  prometheus::Registry registry;
  IngestOptions options;
  options.address = "127.0.0.1:0";
  options.configuration_file = folder.write("c.json", R"({"services": [{"service": "shop", "hz": "fast"}]})");
  const auto started = IngestServer::start(options, store, registry);
  REQUIRE_FALSE(started.ok());
  CHECK(started.status().message() == "configuration file " + options.configuration_file +
                                          ": services[0].hz: write a whole number from 1 to 1000");
}

}  // namespace
}  // namespace siprof::collector
