// SPDX-License-Identifier: Apache-2.0
// Where `siprof` finds the shim, and where it must not be.
#include "collector-client/cli/shim_path.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {
namespace {

TEST_CASE("a shim whose path cannot stand in LD_PRELOAD is refused by its name") {
  const TemporaryFolder folder;
  for (const char* name : {"/plain", "/with blank", "/with:colon"}) {
    const std::string home = folder.path() + name;
    std::filesystem::create_directory(home);
    std::ofstream(home + "/libsiprof.so") << "shim";
    const absl::StatusOr<std::string> found = find_shim_from(home);
    CHECK(found.ok() == (std::string(name) == "/plain"));
    if (!found.ok()) CHECK(std::string(found.status().message()).find(home) != std::string::npos);
  }
}

}  // namespace
}  // namespace siprof::client
