// SPDX-License-Identifier: Apache-2.0
// Looks for libsiprof.so beside this program.
#include "collector-client/cli/shim_path.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace siprof::client {

namespace {

absl::Status check_preloadable(const std::string& path) {
  // The dynamic linker splits LD_PRELOAD at both and knows no quoting (ld.so(8)).
  if (path.find_first_of(" \t\n:") == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, " cannot be preloaded: move siprof to a path without blanks and colons"));
}

}  // namespace

absl::StatusOr<std::string> find_shim_from(const std::string& folder) {
  std::string looked_at;
  for (const char* place : {"/libsiprof.so", "/../lib/siprof/libsiprof.so", "/../shim/libsiprof.so"}) {
    const std::string path = absl::StrCat(folder, place);
    char resolved[PATH_MAX];
    if (::access(path.c_str(), R_OK) == 0 && ::realpath(path.c_str(), resolved) != nullptr) {
      if (absl::Status status = check_preloadable(resolved); !status.ok()) return status;
      return resolved;
    }
    absl::StrAppend(&looked_at, looked_at.empty() ? "" : ", ", path);
  }
  return absl::NotFoundError(absl::StrCat("libsiprof.so is missing; looked at ", looked_at));
}

absl::StatusOr<std::string> find_shim() {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return absl::NotFoundError("cannot tell where siprof itself is: /proc is not mounted");
  const std::string path(self, static_cast<std::size_t>(length));
  return find_shim_from(path.substr(0, path.rfind('/')));
}

}  // namespace siprof::client
