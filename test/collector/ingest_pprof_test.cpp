// SPDX-License-Identifier: Apache-2.0
// Which profiles are taken, and what is said about the others.
#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "collector/ingest/gunzip.h"
#include "collector/ingest/pprof_reader.h"
#include "collector/ingest/profile_intake.h"
#include "collector/ingest/utf8.h"
#include "test/collector/ingest_support.h"

namespace siprof::collector {
namespace {

using perftools::profiles::Profile;

absl::Status verdict(const std::string& bytes, const PprofLimits& limits = {}) {
  return read_pprof(bytes, limits, absl::Now()).status();
}

struct BrokenRule {
  const char* message;  // part of what the agent is told
  std::function<void(Profile&)> breaks;
};

const BrokenRule kBrokenRules[] = {
    {"string_table[0]", [](Profile& p) { p.set_string_table(0, "x"); }},
    {"string_table[0]", [](Profile& p) { p.clear_string_table(); }},
    {"no sample type", [](Profile& p) { p.clear_sample_type(); }},
    {"'cpu-time' contains '-'", [](Profile& p) { p.set_string_table(3, "cpu-time"); }},
    {"sample type 1 needs a type", [](Profile& p) { p.mutable_sample_type(1)->set_type(0); }},
    {"sample type 0 needs a type", [](Profile& p) { p.mutable_sample_type(0)->set_unit(99); }},
    {"sample types 0 and 1", [](Profile& p) { p.mutable_sample_type(1)->set_type(1); }},
    {"default_sample_type", [](Profile& p) { p.set_default_sample_type(2); }},
    {"header is out of range", [](Profile& p) { p.set_default_sample_type(99); }},
    {"header is out of range", [](Profile& p) { p.set_drop_frames(-1); }},
    {"comment's string index", [](Profile& p) { p.add_comment(14); }},
    {"period_type needs", [](Profile& p) { p.mutable_period_type()->set_unit(0); }},
    {"negative", [](Profile& p) { p.set_duration_nanos(-1); }},
    {"mapping 0 has id 2", [](Profile& p) { p.mutable_mapping(0)->set_id(2); }},
    {"mapping 0 has a string index", [](Profile& p) { p.mutable_mapping(0)->set_build_id(14); }},
    {"mapping 0 ends before", [](Profile& p) { p.mutable_mapping(0)->set_memory_start(0xa000); }},
    {"function 1 has id 1", [](Profile& p) { p.mutable_function(1)->set_id(1); }},
    {"function 0 has a string index", [](Profile& p) { p.mutable_function(0)->set_name(-5); }},
    {"name of function 1 is longer", [](Profile& p) { p.set_string_table(7, std::string(1'025, 'f')); }},
    {"location 1 has id 0", [](Profile& p) { p.mutable_location(1)->set_id(0); }},
    {"location 0 names mapping 2", [](Profile& p) { p.mutable_location(0)->set_mapping_id(2); }},
    {"location 0 names function 3",
     [](Profile& p) { p.mutable_location(0)->mutable_line(0)->set_function_id(3); }},
    {"location 0 names function 0",
     [](Profile& p) { p.mutable_location(0)->mutable_line(0)->set_function_id(0); }},
    {"sample 1 names location 0", [](Profile& p) { p.mutable_sample(1)->set_location_id(0, 0); }},
    {"sample 0 names location 3", [](Profile& p) { p.mutable_sample(0)->set_location_id(1, 3); }},
    {"sample 0 has 3 values for 2", [](Profile& p) { p.mutable_sample(0)->add_value(1); }},
    {"sample 1 has 0 values for 2", [](Profile& p) { p.mutable_sample(1)->clear_value(); }},
    {"sample 0 has a negative value", [](Profile& p) { p.mutable_sample(0)->set_value(0, -1); }},
    {"add up to more", [](Profile& p) { p.mutable_sample(1)->set_value(1, std::int64_t{1} << 53); }},
    {"label without a proper key", [](Profile& p) { p.mutable_sample(0)->mutable_label(0)->set_key(0); }},
    {"label without a proper key", [](Profile& p) { p.mutable_sample(0)->mutable_label(0)->set_key(14); }},
    {"label whose string index", [](Profile& p) { p.mutable_sample(0)->mutable_label(0)->set_str(14); }},
    {"text and number", [](Profile& p) { p.mutable_sample(0)->mutable_label(0)->set_num(1); }},
    {"'thread' twice", [](Profile& p) { p.mutable_sample(0)->mutable_label(1)->set_key(10); }},
};

TEST_CASE("a valid profile is read the same, compressed or not") {
  const Profile profile = sample_pprof();
  const std::string raw = profile.SerializeAsString();
  for (const std::string& bytes : {raw, gzip(raw)}) {
    const auto read = read_pprof(bytes, {}, absl::Now());
    REQUIRE(read.ok());
    CHECK(read->SerializeAsString() == raw);
  }
}

TEST_CASE("a profile without samples is valid") {
  Profile profile = sample_pprof();
  profile.clear_sample();
  CHECK(verdict(profile.SerializeAsString()).ok());
}

TEST_CASE("each broken rule of pprof is refused with its own reason") {
  for (const BrokenRule& rule : kBrokenRules) {
    Profile profile = sample_pprof();
    rule.breaks(profile);
    const absl::Status status = verdict(profile.SerializeAsString());
    INFO("expected '" << rule.message << "', got " << status);
    CHECK(!status.ok());
    CHECK(std::string(status.message()).find(rule.message) != std::string::npos);
    CHECK(std::string(status.message()).find('\n') == std::string::npos);
  }
}

TEST_CASE("profiles from before the retention and from the future are refused") {
  const auto at = [](absl::Duration offset) {
    Profile profile = sample_pprof();
    profile.set_time_nanos(absl::ToUnixNanos(absl::Now() + offset));
    return verdict(profile.SerializeAsString());
  };
  CHECK(at(-absl::Hours(47)).ok());
  CHECK(absl::IsOutOfRange(at(-absl::Hours(49))));
  CHECK(at(absl::Minutes(9)).ok());
  CHECK(absl::IsOutOfRange(at(absl::Minutes(11))));
}

TEST_CASE("text that isn't UTF-8 is refused by the number of the string") {
  // The serializer would complain about such a string, so the bytes are exchanged afterwards.
  std::string raw = sample_pprof().SerializeAsString();
  raw.replace(raw.find("worker"), 6, "wor\xffker", 6);
  const absl::Status status = verdict(raw);
  CHECK(status.message() == "pprof: string 11 isn't UTF-8");
}

TEST_CASE("UTF-8 is what Unicode says it is") {
  for (const char* good :
       {"", "a", "Grüße, 世界", "\xf0\x9f\x94\xa5 longer than a word", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "12345678\xff", "\xe4\xb8"}) {
    CHECK(!is_utf8(bad));
  }
}

TEST_CASE("a gzip bomb ends at the limit") {
  const std::string bomb = gzip(std::string(200U << 20, '\0'));
  REQUIRE(bomb.size() < 2U << 20);
  const absl::Status status = verdict(bomb);
  CHECK(absl::IsResourceExhausted(status));
  CHECK(status.message() == "gzip: more than 16777216 bytes when decompressed");
}

TEST_CASE("the limit of decompressed bytes is exact") {
  const std::string packed = gzip(std::string(5'000, 'x'));
  CHECK(gunzip(packed, 5'000).ok());
  CHECK(absl::IsResourceExhausted(gunzip(packed, 4'999).status()));
}

TEST_CASE("corrupt, cut off and extended gzip is refused") {
  const std::string good = gzip(sample_pprof().SerializeAsString());
  std::string flipped = good;
  flipped[good.size() - 6] ^= 1;  // the checksum
  for (const std::string& bytes :
       {flipped, good.substr(0, good.size() / 2), good.substr(0, 11), good + "x"}) {
    CHECK(absl::IsDataLoss(verdict(bytes)));
  }
  for (std::size_t size = 2; size < good.size(); ++size) CHECK(!verdict(good.substr(0, size)).ok());
}

TEST_CASE("bytes that are no protobuf are refused") {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n"), std::string(100, '\xff'), std::string("\x0b\x0c")}) {
    CHECK(!verdict(bytes).ok());
  }
  CHECK(!verdict("").ok());
}

TEST_CASE("counts are bounded before objects are made") {
  const auto repeated = [](const std::string& field, std::size_t times) {
    std::string bytes;
    for (std::size_t i = 0; i < times; ++i) bytes += field;
    return bytes;
  };
  const auto embedded = [](char tag, const std::string& message) {
    std::string length;
    for (std::size_t rest = message.size();; rest >>= 7) {
      length += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
      if (rest <= 0x7f) break;
    }
    return tag + length + message;
  };
  using namespace std::string_literals;
  const std::string bombs[] = {
      repeated("\x12\0"s, 8'000'000),                             // samples
      repeated("\x22\0"s, 8'000'000),                             // locations
      repeated("\x32\0"s, 8'000'000),                             // strings
      embedded(0x12, repeated("\x1a\0"s, 8'000'000)),             // labels of a sample
      embedded(0x12, embedded(0x0a, std::string(9'000'000, 1))),  // frames of a sample
      embedded(0x22, repeated("\x22\0"s, 8'000'000)),             // lines of a location
      embedded(0x6a, std::string(9'000'000, 1)),                  // comments
      repeated("\xf8\x01\x01"s, 5'000'000),                       // fields nobody knows
  };
  for (const std::string& bomb : bombs) CHECK(absl::IsResourceExhausted(verdict(bomb)));
  // A number where the schema has text, and the other way round: kept aside by the parser, refused here.
  CHECK(absl::IsDataLoss(verdict(embedded(0x12, embedded(0x1a, "\x0a\0"s)))));
  CHECK(absl::IsDataLoss(verdict("\x48\x01\x4a\0"s)));
}

TEST_CASE("16 000 samples are taken, one more is not") {
  Profile profile = sample_pprof();
  while (profile.sample_size() < 16'000) *profile.add_sample() = profile.sample(0);
  CHECK(verdict(profile.SerializeAsString()).ok());
  *profile.add_sample() = profile.sample(0);
  CHECK(verdict(profile.SerializeAsString()).message() ==
        "pprof: more than 16000 samples: split the profile");
}

TEST_CASE("what surrounds the pprof is checked too") {
  const auto reason = [](const std::function<void(v1::Profile&)>& change) {
    v1::Profile profile = sample_profile(1);
    change(profile);
    return std::string(take_in(profile, kAgentId, {}, absl::Now()).status().message());
  };
  CHECK(reason([](v1::Profile&) {}).empty());
  CHECK(reason([](v1::Profile& p) { p.set_sequence(0); }) == "sequence numbers start at 1");
  CHECK(reason([](v1::Profile& p) { p.set_kind("gpu\n"); }).find("unknown kind 'gpu\\n'") == 0);
  CHECK(reason([](v1::Profile& p) { p.clear_attributes(); }) == "attribute service.name is missing");
  CHECK(reason([](v1::Profile& p) { p.set_duration_nanos(0); }).find("duration_nanos") == 0);
  CHECK(reason([](v1::Profile& p) { p.set_start_unix_nanos(0); }).find("start_unix_nanos 1970") == 0);
  CHECK(reason([](v1::Profile& p) {
          (*p.mutable_attributes())["x"] = std::string(3'000, 'x');
        }).find("attribute x is") == 0);
  CHECK(reason([](v1::Profile& p) { p.set_pprof_gzip("\x1f\x8bno"); }).find("gzip:") == 0);
}

}  // namespace
}  // namespace siprof::collector
