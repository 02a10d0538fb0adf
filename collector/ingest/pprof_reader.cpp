// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/pprof_reader.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "collector/ingest/gunzip.h"
#include "collector/ingest/pprof_rules.h"
#include "collector/ingest/pprof_scan.h"

namespace siprof::collector {
namespace {

absl::StatusOr<perftools::profiles::Profile> parse(std::string_view raw, const PprofLimits& limits) {
  if (auto status = scan_pprof(raw, limits); !status.ok()) return status;
  perftools::profiles::Profile profile;
  if (!profile.ParseFromArray(raw.data(), static_cast<int>(raw.size()))) {
    return absl::DataLossError("pprof: not a protobuf of perftools.profiles.Profile");
  }
  return profile;
}

}  // namespace

absl::Status check_time(const char* what, absl::Time time, const PprofLimits& limits, absl::Time now) {
  if (time < now - limits.oldest) {
    return absl::OutOfRangeError(absl::StrCat(what, " ", absl::FormatTime(time, absl::UTCTimeZone()),
                                              " is older than the retention of ",
                                              absl::FormatDuration(limits.oldest)));
  }
  if (time > now + limits.newest) {
    return absl::OutOfRangeError(absl::StrCat(
        what, " ", absl::FormatTime(time, absl::UTCTimeZone()), " is in the future by more than ",
        absl::FormatDuration(limits.newest), ": check the host's clock"));
  }
  return absl::OkStatus();
}

absl::StatusOr<perftools::profiles::Profile> read_pprof(std::string_view bytes, const PprofLimits& limits,
                                                        absl::Time now) {
  std::string decompressed;
  std::string_view raw = bytes;
  if (is_gzip(bytes)) {
    auto result = gunzip(bytes, limits.max_bytes);
    if (!result.ok()) return result.status();
    raw = decompressed = *std::move(result);
  }
  if (raw.size() > limits.max_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("pprof: more than ", limits.max_bytes, " bytes"));
  }
  auto profile = parse(raw, limits);
  if (!profile.ok()) return profile;
  if (auto status = check_rules(*profile, limits); !status.ok()) return status;
  const absl::Time time = absl::FromUnixNanos(profile->time_nanos());
  if (auto status = check_time("pprof: time_nanos", time, limits, now); !status.ok()) return status;
  return profile;
}

}  // namespace siprof::collector
