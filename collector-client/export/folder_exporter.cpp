// SPDX-License-Identifier: Apache-2.0
// One file per service, kind and window.
#include <errno.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/export/file_exporter.h"
#include "collector-client/export/metrics_json.h"

namespace siprof::client {
namespace {

// A service's name as one path component: no separator, not "." or "..", short.
std::string folder_name(const std::string& service) {
  constexpr std::size_t kMaxBytes = 200;
  std::string name = service.substr(0, kMaxBytes);
  for (char& c : name) {
    if (c == '/' || static_cast<unsigned char>(c) < ' ') c = '_';
  }
  if (name.empty() || name.front() == '.') name = absl::StrCat("_", name);
  return name;
}

class FolderExporter : public Exporter {
 public:
  explicit FolderExporter(std::string folder) : folder_(std::move(folder)) {}

  void submit(FinishedProfile profile) override {
    write(profile.attributes, {profile.kind, profile.start, ".pb.gz", "profile"}, profile.pprof_gzip);
  }

  void submit(FinishedMetrics metrics) override {
    MetricsJson values;
    values.add(metrics);
    const nlohmann::json all = {
        {"siprof", SIPROF_VERSION},
        {"start", absl::ToDoubleSeconds(metrics.start - absl::UnixEpoch())},
        {"end", absl::ToDoubleSeconds(metrics.start + metrics.duration - absl::UnixEpoch())},
        {"attributes", metrics.attributes},
        {"metrics", values.list()}};
    write(metrics.attributes, {"metrics", metrics.start, ".json", "metrics"}, absl::StrCat(all.dump(), "\n"));
  }

  absl::Status flush(absl::Time) override {
    const std::lock_guard lock(mutex_);
    return is_failing_ ? last_error_ : absl::OkStatus();
  }

  std::map<std::string, std::uint64_t> counters() const override {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  struct FileName {
    std::string kind;
    absl::Time start;
    const char* suffix;
    const char* what;
  };

  void write(const Attributes& attributes, const FileName& name, const std::string& bytes) {
    const auto service = attributes.find("service.name");
    const std::string folder =
        absl::StrCat(folder_, "/", folder_name(service == attributes.end() ? "" : service->second));
    const std::lock_guard lock(mutex_);
    absl::Status status = make_folders(folder);
    if (status.ok()) status = write_file_atomically(free_name(folder, name), bytes);
    ++counters_[status.ok() ? "export_written" : "export_dropped"];
    if (status.ok()) {
      is_failing_ = false;
      return;
    }
    // A full disk fails each window: say it once until it works again.
    if (!is_failing_) spdlog::error("{} dropped: {}", name.what, std::string(status.message()));
    is_failing_ = true;
    last_error_ = status;
  }

  // Split windows and series that differ in other attributes share kind and
  // start: they get -1, -2, … behind it.
  static std::string free_name(const std::string& folder, const FileName& name) {
    const std::string stem = absl::StrCat(folder, "/", name.kind, "-", absl::ToUnixSeconds(name.start));
    std::string path = absl::StrCat(stem, name.suffix);
    for (int i = 1; ::access(path.c_str(), F_OK) == 0; ++i) path = absl::StrCat(stem, "-", i, name.suffix);
    return path;
  }

  const std::string folder_;
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> counters_;
  bool is_failing_ = false;
  absl::Status last_error_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Exporter>> make_folder_exporter(const FolderSettings& settings) {
  if (absl::Status status = make_folders(settings.folder); !status.ok()) return status;
  if (::access(settings.folder.c_str(), W_OK | X_OK) != 0) {
    return system_error(errno, "cannot write into", settings.folder);
  }
  return std::make_unique<FolderExporter>(settings.folder);
}

}  // namespace siprof::client
