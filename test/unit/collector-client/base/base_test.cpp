// SPDX-License-Identifier: Apache-2.0
// gzip, files, URLs and clocks.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "collector-client/base/clock.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/gzip.h"
#include "collector-client/base/url.h"

namespace siprof::client {

TEST_CASE("gzip and back is the same, and damage is noticed") {
  const std::string plain = std::string(100'000, 'a') + "end";
  const std::string packed = *gzip(plain);
  CHECK(packed.size() < 1000);
  CHECK(*gunzip(packed, plain.size()) == plain);
  CHECK(*gunzip(*gzip(""), 10) == "");
  CHECK(absl::IsResourceExhausted(gunzip(packed, plain.size() - 1).status()));
  CHECK(absl::IsInvalidArgument(gunzip(packed.substr(0, packed.size() / 2), 1 << 20).status()));
  CHECK(absl::IsInvalidArgument(gunzip(packed + "x", 1 << 20).status()));
  CHECK(absl::IsInvalidArgument(gunzip("no gzip at all", 1 << 20).status()));
}

TEST_CASE("files are written whole, under their name, or not at all") {
  char folder[] = "/tmp/siprof-base-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/a/b/file";
  CHECK(absl::IsNotFound(write_file_atomically(path, "x")));
  REQUIRE(make_folders(std::string(folder) + "/a/b").ok());
  REQUIRE(write_file_atomically(path, "one").ok());
  REQUIRE(write_file_atomically(path, "two").ok());
  CHECK(*read_file(path, 3) == "two");
  CHECK(absl::IsResourceExhausted(read_file(path, 2).status()));
  CHECK_FALSE(make_folders(path).ok());
  CHECK(std::system(("test $(ls " + std::string(folder) + "/a/b | wc -l) = 1 && rm -r " + folder).c_str()) ==
        0);
}

TEST_CASE("addresses of collectors are read as people write them") {
  const Url url = *parse_url("https://collector.example:1234/base", 9460);
  CHECK(url.tls);
  CHECK(url.authority() == "collector.example:1234");
  CHECK(url.path == "/base");
  CHECK(parse_url("http://[::1]", 9460)->authority() == "[::1]:9460");
  for (const char* bad : {"", "host:1", "ftp://x", "http://", "http://:1", "http://x:0", "http://x:70000",
                          "http://x:1y", "http://a b", "http://user@x", "http://[::1"}) {
    INFO(bad);
    CHECK_FALSE(parse_url(bad, 9460).ok());
  }
}

TEST_CASE("a moment on the monotonic clock is mapped by what both clocks say now") {
  class Fixed : public Clock {
   public:
    absl::Time now() const override { return absl::FromUnixSeconds(1000); }
    std::int64_t monotonic_ns() const override { return 50'000'000'000; }
  };
  CHECK(Fixed().from_monotonic(40'000'000'000) == absl::FromUnixSeconds(990));
  CHECK(Clock::system().monotonic_ns() > 0);
}

}  // namespace siprof::client
