// SPDX-License-Identifier: Apache-2.0
// What /metrics says about requests. Any thread. The registry outlives this.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace siprof::collector {

class HttpMetrics {
 public:
  explicit HttpMetrics(prometheus::Registry& registry);

  // `path` is made into one of a fixed set, so that a stranger can't make series.
  void answered(const std::string& path, int status, absl::Duration took);

 private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& seconds_;
};

}  // namespace siprof::collector
