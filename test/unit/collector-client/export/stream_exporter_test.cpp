// SPDX-License-Identifier: Apache-2.0
// The stream exporter against a collector in this process.
#include "collector-client/export/stream_exporter.h"

#include <catch2/catch.hpp>
#include <thread>

#include "absl/time/clock.h"
#include "test/unit/collector-client/export/fake_collector.h"
#include "test/unit/collector-client/export/temporary_folder.h"
#include "test/unit/collector-client/export/test_keys.h"

namespace siprof::client {
namespace {

StreamSettings settings_for(const std::string& url, const std::string& spool) {
  StreamSettings settings;
  settings.collector = url;
  settings.spool = spool;
  settings.host_name = "web-1";
  settings.first_retry = absl::Milliseconds(20);
  settings.last_retry = absl::Milliseconds(100);
  settings.answer_timeout = absl::Seconds(2);
  return settings;
}

std::unique_ptr<Exporter> start(const StreamSettings& settings, ConfigurationSink sink = nullptr) {
  auto exporter = make_stream_exporter(settings, std::move(sink));
  REQUIRE(exporter.ok());
  return *std::move(exporter);
}

FinishedProfile profile(int number) {
  FinishedProfile profile;
  profile.kind = "cpu";
  profile.start = absl::FromUnixSeconds(number);
  profile.duration = absl::Seconds(10);
  profile.attributes = {{"service.name", "app"}};
  profile.pprof_gzip = std::to_string(number);
  profile.counters = {{"taken", 3}};
  return profile;
}

absl::Time soon() {
  return absl::Now() + absl::Seconds(20);
}

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
  return all;
}

template <typename Condition>
bool eventually(Condition condition) {
  for (const absl::Time end = soon(); absl::Now() < end; absl::SleepFor(absl::Milliseconds(5))) {
    if (condition()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("profiles arrive in order, with their attributes, and are acknowledged") {
  const TemporaryFolder spool;
  FakeCollector collector;
  auto exporter = start(settings_for(collector.url(), spool.path()));
  for (int i = 0; i < 200; ++i) exporter->submit(profile(i));
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == numbers(0, 200));
  const v1::Profile first = collector.profiles().at(0);
  CHECK(first.start_unix_nanos() == 0);
  CHECK(first.duration_nanos() == 10'000'000'000);
  CHECK(first.attributes().at("service.name") == "app");
  CHECK(first.counters().at("taken") == 3);
  CHECK(collector.hello().protocol_version() == 1);
  CHECK(collector.hello().agent_id().size() == 32);
  CHECK(collector.hello().resource().at("host.name") == "web-1");
  CHECK(exporter->counters().at("spool_acknowledged") == 200);
  CHECK(exporter->counters().at("spool_waiting") == 0);
}

TEST_CASE("a collector that is killed and comes back misses nothing and stores nothing twice") {
  const TemporaryFolder spool;
  auto collector = std::make_unique<FakeCollector>();
  const int port = collector->port();
  auto exporter = start(settings_for(collector->url(), spool.path()));
  for (int i = 0; i < 20; ++i) exporter->submit(profile(i));
  REQUIRE(exporter->flush(soon()).ok());
  collector->swallow_acks(true);  // stores, but dies before it says so
  for (int i = 20; i < 30; ++i) exporter->submit(profile(i));
  REQUIRE(eventually([&] { return collector->profiles().size() == 30; }));
  const FakeCollector::Store store = collector->take_store();
  collector.reset();
  for (int i = 30; i < 40; ++i) exporter->submit(profile(i));
  CHECK(absl::IsDeadlineExceeded(exporter->flush(absl::Now() + absl::Milliseconds(100))));
  collector = std::make_unique<FakeCollector>(port, store);
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector->stored_in_order() == numbers(0, 40));
  CHECK(collector->duplicates() == 10);
  CHECK(exporter->counters().at("export_connects") == 2);
}

TEST_CASE("what an agent could not send is sent by the next one, under the same identity") {
  const TemporaryFolder spool;
  {
    auto exporter = start(settings_for("http://127.0.0.1:1", spool.path()));
    for (int i = 0; i < 5; ++i) exporter->submit(profile(i));
    const absl::Time before = absl::Now();
    exporter.reset();
    CHECK(absl::Now() - before < absl::Seconds(2));
  }
  FakeCollector collector;
  auto exporter = start(settings_for(collector.url(), spool.path()));
  exporter->submit(profile(5));
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == numbers(0, 6));
}

TEST_CASE("left over spools of killed agents are sent too") {
  const TemporaryFolder spool;
  FakeCollector collector;
  auto first = start(settings_for(collector.url(), spool.path()));
  {
    auto second = start(settings_for("http://127.0.0.1:1", spool.path()));
    second->submit(profile(1));
  }
  first.reset();
  auto exporter = start(settings_for(collector.url(), spool.path()));
  CHECK(eventually([&] { return collector.profiles().size() == 1; }));
}

// Protobuf writes such a text and doesn't read it.
TEST_CASE("a spooled message that cannot be read is dropped and counted, the others go on") {
  const TemporaryFolder spool;
  FakeCollector collector;
  auto exporter = start(settings_for(collector.url(), spool.path()));
  exporter->submit(profile(0));
  FinishedProfile unreadable = profile(1);
  unreadable.attributes["service.name"] = "caf\xe9";
  exporter->submit(std::move(unreadable));
  exporter->submit(profile(2));
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == std::vector<std::string>{"0", "2"});
  CHECK(exporter->counters().at("spool_corrupt") == 1);
  CHECK(exporter->counters().at("export_connect_failures") == 0);
}

TEST_CASE("rejected profiles are dropped and counted, the others go on") {
  const TemporaryFolder spool;
  FakeCollector collector;
  collector.reject("3");
  auto exporter = start(settings_for(collector.url(), spool.path()));
  for (int i = 0; i < 6; ++i) exporter->submit(profile(i));
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == std::vector<std::string>{"0", "1", "2", "4", "5"});
  CHECK(exporter->counters().at("spool_rejected") == 1);
  CHECK(exporter->counters().at("spool_acknowledged") == 5);
}

TEST_CASE("a message larger than the collector takes is dropped and counted") {
  const TemporaryFolder spool;
  FakeCollector collector;
  collector.set_max_message_bytes(1000);
  auto exporter = start(settings_for(collector.url(), spool.path()));
  FinishedProfile large = profile(1);
  large.pprof_gzip = std::string(2000, 'x');
  exporter->submit(std::move(large));
  exporter->submit(profile(2));
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == std::vector<std::string>{"2"});
  CHECK(exporter->counters().at("spool_oversized") == 1);
}

TEST_CASE("a wrong token sends nothing and keeps everything, a right one in its file is taken up") {
  const TemporaryFolder spool;
  FakeCollector collector;
  collector.want_token("right");
  const std::string token_file = spool.path() + "/token";
  REQUIRE(write_file_atomically(token_file, "wrong\n").ok());
  StreamSettings settings = settings_for(collector.url(), spool.path() + "/spool");
  settings.token_file = token_file;
  auto exporter = start(settings);
  exporter->submit(profile(1));
  const absl::Status status = exporter->flush(absl::Now() + absl::Milliseconds(500));
  REQUIRE(absl::IsDeadlineExceeded(status));
  CHECK(std::string(status.message()).find("UNAUTHENTICATED: who are you") != std::string::npos);
  CHECK(collector.profiles().empty());
  REQUIRE(write_file_atomically(token_file, "right\n").ok());
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.stored_in_order() == std::vector<std::string>{"1"});
}

TEST_CASE("configuration reaches the sink, and the pause between messages is kept") {
  const TemporaryFolder spool;
  FakeCollector collector;
  v1::Configuration configuration;
  configuration.set_generation(7);
  configuration.set_min_send_interval_nanos(50'000'000);
  collector.set_configuration(configuration);
  std::atomic<std::uint64_t> generation{0};
  auto exporter = start(settings_for(collector.url(), spool.path()),
                        [&](const v1::Configuration& c) { generation = c.generation(); });
  REQUIRE(eventually([&] { return generation == 7; }));
  const absl::Time before = absl::Now();
  for (int i = 0; i < 5; ++i) exporter->submit(profile(i));
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(absl::Now() - before >= absl::Milliseconds(200));
}

TEST_CASE("a collector that says nothing doesn't hang the exporter or its end") {
  const TemporaryFolder spool;
  FakeCollector collector;
  collector.stay_silent(true);
  StreamSettings settings = settings_for(collector.url(), spool.path());
  settings.answer_timeout = absl::Milliseconds(100);
  auto exporter = start(settings);
  exporter->submit(profile(1));
  REQUIRE(eventually([&] { return exporter->counters().at("export_connect_failures") >= 2; }));
  const absl::Time before = absl::Now();
  exporter.reset();
  CHECK(absl::Now() - before < absl::Seconds(2));
  // The same when it waits for a welcome that would take long.
  settings.answer_timeout = absl::Minutes(5);
  exporter = start(settings);
  absl::SleepFor(absl::Milliseconds(100));
  const absl::Time again = absl::Now();
  exporter.reset();
  CHECK(absl::Now() - again < absl::Seconds(2));
}

TEST_CASE("mTLS carries profiles; a stranger's certificate or none is refused on either side") {
  const TemporaryFolder spool;
  const TestKeys keys, strangers;
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = *read_file(keys.file("ca.pem"), 1 << 20);
  options.pem_key_cert_pairs.push_back(
      {*read_file(keys.file("server.key"), 1 << 20), *read_file(keys.file("server.pem"), 1 << 20)});
  FakeCollector collector(0, {}, grpc::SslServerCredentials(options));
  StreamSettings settings =
      settings_for("https://localhost:" + std::to_string(collector.port()), spool.path());
  const TlsFiles good = {keys.file("ca.pem"), keys.file("client.pem"), keys.file("client.key")};
  const TlsFiles bad[] = {{keys.file("ca.pem"), "", ""},
                          {keys.file("ca.pem"), strangers.file("client.pem"), strangers.file("client.key")},
                          {strangers.file("ca.pem"), good.cert, good.key}};
  for (const TlsFiles& files : bad) {
    settings.tls = files;
    auto exporter = start(settings);
    exporter->submit(profile(1));
    REQUIRE(eventually([&] { return exporter->counters().at("export_connect_failures") >= 1; }));
    CHECK(exporter->counters().at("export_connects") == 0);
  }
  CHECK(collector.profiles().empty());
  settings.tls = good;
  auto exporter = start(settings);
  REQUIRE(exporter->flush(soon()).ok());
  CHECK(collector.profiles().size() == 3);
}

TEST_CASE("settings that can never work are refused at the start") {
  const TemporaryFolder spool;
  const auto refused = [&](auto change) {
    StreamSettings settings = settings_for("https://127.0.0.1:1", spool.path());
    change(&settings);
    return make_stream_exporter(settings, nullptr).status();
  };
  CHECK(refused([](StreamSettings* s) { s->collector = "nonsense"; }).message().find("write http://") !=
        absl::string_view::npos);
  CHECK_FALSE(refused([](StreamSettings* s) { s->tls.ca = "/no/such/file"; }).ok());
  CHECK_FALSE(refused([](StreamSettings* s) { s->tls.cert = "/etc/hostname"; }).ok());
  CHECK_FALSE(refused([](StreamSettings* s) { s->token = "two words"; }).ok());
  CHECK_FALSE(refused([](StreamSettings* s) { s->token_file = "/no/such/file"; }).ok());
  CHECK_FALSE(
      refused([](StreamSettings* s) { s->collector = "http://x:1", s->tls.ca = "/etc/hostname"; }).ok());
  CHECK_FALSE(refused([](StreamSettings* s) { s->spool = "/dev/null/spool"; }).ok());
}

}  // namespace siprof::client
