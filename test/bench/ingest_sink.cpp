// SPDX-License-Identifier: Apache-2.0
// The collector's gRPC side over a store that forgets: what ingest costs by itself.
// `ingest_sink ADDRESS` serves until its stdin ends.
#include <cstdio>

#include "collector/ingest/ingest_server.h"
#include "prometheus/registry.h"
#include "spdlog/spdlog.h"

namespace {

class ForgetfulStore final : public siprof::collector::Store {
 public:
  std::vector<absl::StatusOr<siprof::collector::Stored>> write(
      std::span<const siprof::collector::IncomingProfile> batch) override {
    return all_new(batch.size());
  }
  std::vector<absl::StatusOr<siprof::collector::Stored>> write_metrics(
      std::span<const siprof::collector::IncomingMetrics> batch) override {
    return all_new(batch.size());
  }
  absl::Status ready() const override { return absl::OkStatus(); }

 private:
  static std::vector<absl::StatusOr<siprof::collector::Stored>> all_new(std::size_t count) {
    return std::vector<absl::StatusOr<siprof::collector::Stored>>(count, siprof::collector::Stored::kNew);
  }
};

}  // namespace

int main(int count, char** arguments) {
  ForgetfulStore store;
  prometheus::Registry registry;
  siprof::collector::IngestOptions options;
  if (count > 1) options.address = arguments[1];
  const auto server = siprof::collector::IngestServer::start(options, store, registry);
  if (!server.ok()) {
    spdlog::error("{}", std::string(server.status().message()));
    return 1;
  }
  std::printf("%d\n", (*server)->port());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
