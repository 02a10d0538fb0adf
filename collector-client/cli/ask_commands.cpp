// SPDX-License-Identifier: Apache-2.0
// `siprof services`, `siprof top` and `siprof get`: questions to a collector.
#include "collector-client/cli/ask_commands.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/cli/http_get.h"
#include "collector-client/cli/remote.h"
#include "collector-client/cli/tables.h"
#include "collector-client/pprof/profile_builder.h"

namespace siprof::client {
namespace {

constexpr char kDefaultLimit[] = "20";

absl::Status print(const absl::StatusOr<std::string>& text) {
  if (text.ok() && (std::fputs(text->c_str(), stdout) < 0 || std::fflush(stdout) != 0)) {
    return absl::DataLossError("cannot write to standard output");
  }
  return text.status();
}

absl::Status services(const RemoteOptions& options) {
  const absl::StatusOr<std::string> answer = ask(options, "/api/v1/services");
  if (!answer.ok()) return answer.status();
  return print(options.json ? absl::StrCat(*answer, "\n") : services_table(*answer));
}

absl::Status top(const RemoteOptions& options) {
  auto parameters = options.range_parameters();
  parameters.emplace_back("limit", options.limit.empty() ? kDefaultLimit : options.limit);
  const absl::StatusOr<std::string> answer =
      ask(options, absl::StrCat("/api/v1/top", query_string(parameters)));
  if (!answer.ok()) return answer.status();
  return print(options.json ? absl::StrCat(*answer, "\n") : top_table(*answer));
}

absl::Status get(const RemoteOptions& options) {
  const absl::StatusOr<std::string> profile =
      ask(options, absl::StrCat("/api/v1/profile", query_string(options.range_parameters())));
  if (!profile.ok()) return profile.status();
  if (auto unpacked = unpack_profile(*profile); !unpacked.ok()) return unpacked.status();
  if (options.file != "-") return write_file_atomically(options.file, *profile);
  if (std::fwrite(profile->data(), 1, profile->size(), stdout) != profile->size() || std::fflush(stdout) != 0)
    return absl::DataLossError("cannot write to standard output");
  return absl::OkStatus();
}

}  // namespace

int run_services(int argc, char** argv) {
  return run_remote(argc, argv, kJson, services);
}
int run_top(int argc, char** argv) {
  return run_remote(argc, argv, kRange | kLimit | kJson, top);
}
int run_get(int argc, char** argv) {
  return run_remote(argc, argv, kRange | kFile, get);
}

}  // namespace siprof::client
