// SPDX-License-Identifier: Apache-2.0
// One merged file per kind, for `siprof record`.
#include <errno.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "collector-client/aggregate/kinds.h"
#include "collector-client/base/file_io.h"
#include "collector-client/export/file_exporter.h"
#include "collector-client/export/metrics_json.h"
#include "collector-client/pprof/counters.h"
#include "collector-client/pprof/profile_builder.h"
#include "collector-client/pprof/profile_merger.h"
#include "collector-client/pprof/profile_writer.h"

namespace siprof::client {
namespace {

constexpr char kMetrics[] = "metrics";  // a kind without a pprof file

struct Merged {
  ProfileMerger merger;
  std::uint64_t profiles = 0;
  Counters counters;
  bool is_wanted = false;
};

class RecordExporter : public Exporter {
 public:
  explicit RecordExporter(const FolderSettings& settings) : folder_(settings.folder), started_(absl::Now()) {
    for (const std::string& kind : settings.kinds) {
      if (kind == kMetrics)
        metrics_.emplace();
      else
        kinds_[kind].is_wanted = true;
    }
  }

  absl::Status remove_old() {
    std::vector<std::string> files = {metrics_file()};
    for (const KindInfo& kind : all_kinds()) files.push_back(profile_file(std::string(kind.name)));
    for (const std::string& file : files) {
      if (::unlink(file.c_str()) != 0 && errno != ENOENT) return system_error(errno, "cannot replace", file);
    }
    return absl::OkStatus();
  }

  void submit(FinishedProfile profile) override {
    absl::StatusOr<perftools::profiles::Profile> unpacked = unpack_profile(profile.pprof_gzip);
    const std::lock_guard lock(mutex_);
    Merged& into = kinds_[profile.kind];
    const absl::Status status = unpacked.ok() ? into.merger.add(*unpacked) : unpacked.status();
    ++counters_[status.ok() ? "export_merged" : "export_dropped"];
    if (!status.ok()) {
      spdlog::error("{} profile dropped: {}", profile.kind, std::string(status.message()));
      return;
    }
    ++into.profiles;
    add_counters(&into.counters, profile.counters);
  }

  void submit(FinishedMetrics metrics) override {
    const std::lock_guard lock(mutex_);
    if (metrics_) metrics_->add(metrics);
  }

  absl::Status flush(absl::Time) override {
    const std::lock_guard lock(mutex_);
    for (auto& [kind, merged] : kinds_) {
      // Where no kind is on that makes profiles, siprof's own counters come in one that nobody asked for.
      if (!merged.is_wanted) continue;
      if (absl::Status status = write_kind(kind, &merged); !status.ok()) return status;
    }
    return write_file_atomically(metrics_file(), metrics());
  }

  std::map<std::string, std::uint64_t> counters() const override {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  std::string profile_file(const std::string& kind) const {
    return absl::StrCat(folder_, "/", kind, ".pb.gz");
  }
  std::string metrics_file() const { return absl::StrCat(folder_, "/metrics.json"); }

  absl::Status write_kind(const std::string& kind, Merged* merged) {
    perftools::profiles::Profile profile = merged->merger.result();
    if (merged->profiles == 0) profile = empty_profile(kind);
    absl::StatusOr<std::string> bytes = pack_profile(profile);
    if (!bytes.ok()) return bytes.status();
    return write_file_atomically(profile_file(kind), *bytes);
  }

  perftools::profiles::Profile empty_profile(const std::string& kind) const {
    const std::optional<Kind> known = find_kind(kind);
    ProfileWriter writer(kind_info(known.value_or(Kind::kCpu)), /*main_executable=*/nullptr);
    writer.profile()->set_time_nanos(absl::ToUnixNanos(started_));
    writer.profile()->set_duration_nanos(absl::ToInt64Nanoseconds(absl::Now() - started_));
    writer.profile()->set_period(1);
    return writer.take();
  }

  // What the run's profiles are made of, and its metrics: null if none were asked for, where an empty list
  // says that there was nobody to take them of.
  std::string metrics() const {
    nlohmann::json kinds = nlohmann::json::object();
    for (const auto& [kind, merged] : kinds_) {
      kinds[kind] = {{"profiles", merged.profiles}, {"counters", merged.counters}};
    }
    nlohmann::json all = {{"siprof", SIPROF_VERSION},
                          {"start", absl::ToDoubleSeconds(started_ - absl::UnixEpoch())},
                          {"end", absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch())},
                          {"kinds", kinds},
                          {"metrics", nullptr}};
    if (metrics_) all["metrics"] = metrics_->list();
    if (metrics_ && metrics_->dropped() != 0) all["metric_points_dropped"] = metrics_->dropped();
    return absl::StrCat(all.dump(2), "\n");
  }

  const std::string folder_;
  const absl::Time started_;
  mutable std::mutex mutex_;
  std::map<std::string, Merged> kinds_;
  std::optional<MetricsJson> metrics_;  // none: the kind is off
  std::map<std::string, std::uint64_t> counters_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Exporter>> make_record_exporter(const FolderSettings& settings) {
  if (absl::Status status = make_folders(settings.folder); !status.ok()) return status;
  if (::access(settings.folder.c_str(), W_OK | X_OK) != 0) {
    return system_error(errno, "cannot write into", settings.folder);
  }
  for (const std::string& kind : settings.kinds) {
    if (kind != kMetrics && !find_kind(kind)) {
      return absl::InvalidArgumentError(absl::StrCat("there is no kind ", kind));
    }
  }
  auto exporter = std::make_unique<RecordExporter>(settings);
  if (absl::Status status = exporter->remove_old(); !status.ok()) return status;
  return exporter;
}

}  // namespace siprof::client
