// SPDX-License-Identifier: Apache-2.0
// What /metrics says about ingest: one method for each thing that happens to a
// stream, a profile or a message with metrics. Any thread. The registry outlives this.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace siprof::collector {

class IngestMetrics {
 public:
  explicit IngestMetrics(prometheus::Registry& registry);

  void stream_opened() { streams_.Increment(); }
  void stream_closed() { streams_.Decrement(); }
  void stream_refused(std::string_view reason) { count(refused_, reason); }

  void received(std::size_t bytes) { received_.Increment(), bytes_.Increment(static_cast<double>(bytes)); }
  void stored() { stored_.Increment(); }
  void duplicate() { duplicate_.Increment(); }
  void rejected(std::string_view reason) { count(rejected_, reason); }

  // The same of messages with runtime metrics.
  void metrics_received(std::size_t points) {
    metrics_received_.Increment(), points_.Increment(static_cast<double>(points));
  }
  void metrics_stored() { metrics_stored_.Increment(); }
  void metrics_duplicate() { metrics_duplicate_.Increment(); }
  void metrics_rejected(std::string_view reason) { count(metrics_rejected_, reason); }

  void set_queue(std::size_t profiles, std::size_t bytes);
  void wrote(absl::Duration took) { write_seconds_.Observe(absl::ToDoubleSeconds(took)); }
  void store_failed() { store_failures_.Increment(); }
  void reloaded(const absl::Status& status) { (status.ok() ? reloads_ : failed_reloads_).Increment(); }

 private:
  using Counters = prometheus::Family<prometheus::Counter>;
  static void count(Counters& family, std::string_view reason) {
    family.Add({{"reason", std::string(reason)}}).Increment();
  }

  prometheus::Gauge& streams_;
  Counters& refused_;
  prometheus::Counter& received_;
  prometheus::Counter& bytes_;
  prometheus::Counter& stored_;
  prometheus::Counter& duplicate_;
  Counters& rejected_;
  prometheus::Counter& metrics_received_;
  prometheus::Counter& points_;
  prometheus::Counter& metrics_stored_;
  prometheus::Counter& metrics_duplicate_;
  Counters& metrics_rejected_;
  prometheus::Gauge& queue_profiles_;
  prometheus::Gauge& queue_bytes_;
  prometheus::Histogram& write_seconds_;
  prometheus::Counter& store_failures_;
  prometheus::Counter& reloads_;
  prometheus::Counter& failed_reloads_;
};

}  // namespace siprof::collector
