// SPDX-License-Identifier: Apache-2.0
// Picks and prepares the state folder.
#include "collector-client/cli/state_folder.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/url.h"

namespace siprof::client {

std::string state_folder(const Environment& environment) {
  // XDG: a relative path is to be ignored.
  if (const auto xdg = environment.find("XDG_STATE_HOME");
      xdg != environment.end() && xdg->second.starts_with('/')) {
    return absl::StrCat(xdg->second, "/siprof");
  }
  if (const auto home = environment.find("HOME");
      home != environment.end() && home->second.starts_with('/') && home->second != "/") {
    return absl::StrCat(home->second, "/.local/state/siprof");
  }
  return absl::StrCat("/tmp/siprof-", ::geteuid());
}

std::string default_spool(const Environment& environment, const std::string& collector) {
  std::string name = "spool";
  if (absl::StatusOr<Url> url = parse_url(collector, /*default_port=*/9460); url.ok()) {
    name = url->authority();
    std::replace(name.begin(), name.end(), '/', '_');
  }
  return absl::StrCat(state_folder(environment), "/spool/", name);
}

absl::Status prepare_state_folder(const std::string& folder) {
  const std::size_t slash = folder.rfind('/');
  if (slash != 0 && slash != std::string::npos) {
    if (absl::Status status = make_folders(folder.substr(0, slash)); !status.ok()) return status;
  }
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error(errno, "cannot create the state folder", folder);
  }
  // In /tmp someone else may have been first, with a folder or a link: lstat.
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0) return system_error(errno, "cannot look at", folder);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("state folder ", folder,
                     " is a link or no folder: remove it, or set XDG_STATE_HOME to another place"));
  }
  if (info.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat("state folder ", folder, " belongs to user ",
                                                      info.st_uid,
                                                      ": set XDG_STATE_HOME to a folder of your own"));
  }
  if ((info.st_mode & 0777) != 0700 && ::chmod(folder.c_str(), 0700) != 0) {
    return system_error(errno, "cannot set mode 0700 on", folder);
  }
  return absl::OkStatus();
}

}  // namespace siprof::client
