// SPDX-License-Identifier: Apache-2.0
// The table of sources.
#include "collector-client/metrics/metric_source.h"

namespace siprof::client {
namespace {

constexpr std::unique_ptr<MetricSource> (*kMakers[])(const MetricSubject&) = {
    make_process_metrics,
    make_io_metrics,
    make_python_metrics,
};

}  // namespace

std::vector<std::unique_ptr<MetricSource>> make_metric_sources(const MetricSubject& subject) {
  std::vector<std::unique_ptr<MetricSource>> sources;
  for (const auto make : kMakers) sources.push_back(make(subject));
  return sources;
}

}  // namespace siprof::client
