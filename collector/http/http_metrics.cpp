// SPDX-License-Identifier: Apache-2.0
#include "collector/http/http_metrics.h"

#include <algorithm>

namespace siprof::collector {
namespace {

constexpr const char* kPaths[] = {"/",
                                  "/healthz",
                                  "/readyz",
                                  "/metrics",
                                  "/login",
                                  "/api/v1/services",
                                  "/api/v1/labels",
                                  "/api/v1/series",
                                  "/api/v1/metrics",
                                  "/api/v1/flame",
                                  "/api/v1/top",
                                  "/api/v1/profile"};

const prometheus::Histogram::BucketBoundaries kBuckets = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30};

std::string known(const std::string& path) {
  if (path.starts_with("/api/v1/labels/")) return "/api/v1/labels/NAME";
  if (path.starts_with("/assets/")) return "/assets/";
  return std::ranges::find(kPaths, path) == std::end(kPaths) ? "other" : path;
}

}  // namespace

HttpMetrics::HttpMetrics(prometheus::Registry& registry)
    : requests_(prometheus::BuildCounter()
                    .Name("siprof_http_requests_total")
                    .Help("Answers by path and status")
                    .Register(registry)),
      seconds_(prometheus::BuildHistogram()
                   .Name("siprof_http_request_seconds")
                   .Help("Time from a request's last byte to its answer, by path")
                   .Register(registry)) {}

void HttpMetrics::answered(const std::string& path, int status, absl::Duration took) {
  const std::string name = known(path);
  requests_.Add({{"path", name}, {"status", std::to_string(status)}}).Increment();
  seconds_.Add({{"path", name}}, kBuckets).Observe(absl::ToDoubleSeconds(took));
}

}  // namespace siprof::collector
