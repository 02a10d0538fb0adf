// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/profile_intake.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector/ingest/attribute_rules.h"
#include "collector/ingest/pprof_reader.h"

namespace siprof::collector {
namespace {

constexpr std::array<const char*, 6> kProfileKinds = {"cpu", "wall", "heap", "lock", "io", "errors"};
constexpr int kMaxCounters = 256;
constexpr std::size_t kMaxCounterNameBytes = 128;

absl::Status wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

absl::Status check_envelope(const v1::Profile& message, const PprofLimits& limits, absl::Time now) {
  if (message.sequence() == 0) return wrong("sequence numbers start at 1");
  if (std::ranges::find(kProfileKinds, message.kind()) == kProfileKinds.end()) {
    return wrong(absl::StrCat("unknown kind '", absl::Utf8SafeCHexEscape(message.kind().substr(0, 64)),
                              "', known are ", absl::StrJoin(kProfileKinds, ", ")));
  }
  if (message.duration_nanos() <= 0 || absl::Nanoseconds(message.duration_nanos()) > kMaxWindow) {
    return wrong(
        absl::StrCat("duration_nanos has to be above 0 and at most ", absl::FormatDuration(kMaxWindow)));
  }
  if (message.counters_size() > kMaxCounters)
    return wrong(absl::StrCat("more than ", kMaxCounters, " counters"));
  for (const auto& [name, value] : message.counters()) {
    if (name.size() > kMaxCounterNameBytes) return wrong("a counter's name is too long");
  }
  if (auto status = check_attributes(message.attributes()); !status.ok()) return status;
  return check_time("start_unix_nanos", absl::FromUnixNanos(message.start_unix_nanos()), limits, now);
}

}  // namespace

absl::StatusOr<IncomingProfile> take_in(const v1::Profile& message, const std::string& agent_id,
                                        const PprofLimits& limits, absl::Time now) {
  if (auto status = check_envelope(message, limits, now); !status.ok()) return status;
  auto profile = read_pprof(message.pprof_gzip(), limits, now);
  if (!profile.ok()) return profile.status();
  return IncomingProfile{.agent_id = agent_id,
                         .sequence = message.sequence(),
                         .kind = message.kind(),
                         .start_unix_ns = message.start_unix_nanos(),
                         .duration_ns = message.duration_nanos(),
                         .attributes = {message.attributes().begin(), message.attributes().end()},
                         .profile = *std::move(profile),
                         .counters = {message.counters().begin(), message.counters().end()}};
}

std::string_view refusal_class(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
      return "corrupt";
    case absl::StatusCode::kResourceExhausted:
      return "too_large";
    case absl::StatusCode::kOutOfRange:
      return "time";
    default:
      return "invalid";
  }
}

}  // namespace siprof::collector
