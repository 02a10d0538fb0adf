// SPDX-License-Identifier: Apache-2.0
// One reader per kind of value; the table is made of proto/siprof/options.def.
#include "collector-client/cli/option_table.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "collector-client/base/text.h"
#include "collector-client/base/url.h"
#include "collector-client/cli/values.h"

namespace siprof::client {
namespace {

constexpr std::array<std::string_view, 7> kKindNames = {"cpu", "wall",   "heap",   "lock",
                                                        "io",  "errors", "metrics"};
constexpr std::uint16_t kCollectorPort = 9460;

absl::Status read_kText(const OptionRow&, std::string_view text, std::string* into) {
  *into = std::string(text);
  return absl::OkStatus();
}

absl::Status read_kUrl(const OptionRow&, std::string_view text, std::string* into) {
  if (absl::StatusOr<Url> url = parse_url(text, kCollectorPort); !url.ok()) {
    return absl::InvalidArgumentError("write http://HOST:PORT or https://HOST:PORT");
  }
  *into = std::string(text);
  return absl::OkStatus();
}

absl::Status read_kLabels(const OptionRow&, std::string_view text, Attributes* into) {
  if (parse_label_list(text, into)) return absl::OkStatus();
  return absl::InvalidArgumentError("write k=v, with , = and % in the value percent-encoded");
}

absl::Status read_kKinds(const OptionRow&, std::string_view text, std::vector<std::string>* into) {
  std::vector<std::string_view> wanted = split(text, ',');
  if (text == "none") wanted.clear();
  for (std::string_view& name : wanted) {
    name = trim(name);
    if (std::find(kKindNames.begin(), kKindNames.end(), name) == kKindNames.end()) {
      return absl::InvalidArgumentError(
          "write a list out of cpu, wall, heap, lock, io, errors, metrics, or none");
    }
  }
  into->clear();
  for (std::string_view name : kKindNames) {
    if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) into->emplace_back(name);
  }
  return absl::OkStatus();
}

absl::Status read_kCount(const OptionRow& row, std::string_view text, std::uint32_t* into) {
  const absl::StatusOr<std::uint64_t> number = parse_count(text, row.min, row.max);
  if (number.ok()) *into = static_cast<std::uint32_t>(*number);
  return number.status();
}

absl::Status read_kBytes(const OptionRow& row, std::string_view text, std::uint64_t* into) {
  const absl::StatusOr<std::uint64_t> bytes = parse_bytes(text);
  if (!bytes.ok()) return bytes.status();
  if (*bytes < row.min || *bytes > row.max) {
    return absl::InvalidArgumentError(absl::StrCat("write ", row.min, " to ", row.max, " bytes"));
  }
  *into = *bytes;
  return absl::OkStatus();
}

absl::Status read_kDuration(const OptionRow& row, std::string_view text, absl::Duration* into) {
  const absl::StatusOr<absl::Duration> duration = parse_duration(text);
  if (!duration.ok()) return duration.status();
  const absl::Duration min = absl::Nanoseconds(row.min), max = absl::Nanoseconds(row.max);
  if (*duration < min || *duration > max) {
    return absl::InvalidArgumentError(
        absl::StrCat("write ", absl::FormatDuration(min), " to ", absl::FormatDuration(max)));
  }
  *into = *duration;
  return absl::OkStatus();
}

absl::Status read_kShare(const OptionRow&, std::string_view text, std::optional<double>* into) {
  const absl::StatusOr<std::optional<double>> share = parse_share(text);
  if (share.ok()) *into = *share;
  return share.status();
}

absl::Status read_kSwitch(const OptionRow&, std::string_view text, bool* into) {
  const absl::StatusOr<bool> is_on = parse_switch(text);
  if (is_on.ok()) *into = *is_on;
  return is_on.status();
}

absl::Status read_kNativeFrames(const OptionRow&, std::string_view text, NativeFrames* into) {
  const std::optional<NativeFrames> frames = parse_native_frames(text);
  if (!frames) return absl::InvalidArgumentError("write app, all or none");
  *into = *frames;
  return absl::OkStatus();
}

absl::Status read_kLogLevel(const OptionRow&, std::string_view text, LogLevel* into) {
  constexpr std::array<std::string_view, 4> kLevels = {"error", "warn", "info", "debug"};
  const auto found = std::find(kLevels.begin(), kLevels.end(), text);
  if (found == kLevels.end()) return absl::InvalidArgumentError("write error, warn, info or debug");
  *into = static_cast<LogLevel>(found - kLevels.begin());
  return absl::OkStatus();
}

constexpr bool is_labels(std::string_view kind) {
  return kind == "kLabels";
}

#define SIPROF_OPTION(id, flag, variable, others, kind, fallback, min, max, help)   \
  {flag,                                                                            \
   variable,                                                                        \
   others,                                                                          \
   fallback,                                                                        \
   min,                                                                             \
   max,                                                                             \
   help,                                                                            \
   [](const OptionRow& row, std::string_view text, Options* into) -> absl::Status { \
     return read_##kind(row, text, &into->id);                                      \
   },                                                                               \
   is_labels(#kind)},
constexpr OptionRow kTable[] = {
#include "proto/siprof/options.def"
};
#undef SIPROF_OPTION

}  // namespace

std::span<const OptionRow> option_table() {
  return kTable;
}

}  // namespace siprof::client
