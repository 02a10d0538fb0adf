// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/ingest_metrics.h"

namespace siprof::collector {
namespace {

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return counters(registry, name, help).Add({});
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Histogram& write_seconds(prometheus::Registry& registry) {
  return prometheus::BuildHistogram()
      .Name("siprof_ingest_write_seconds")
      .Help("Time that the store took for a batch of profiles and metrics.")
      .Register(registry)
      .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                                       2.5, 5, 10});
}

}  // namespace

IngestMetrics::IngestMetrics(prometheus::Registry& registry)
    : streams_(gauge(registry, "siprof_ingest_streams", "Agents connected now.")),
      refused_(counters(registry, "siprof_ingest_streams_refused_total", "Streams ended by the collector.")),
      received_(counter(registry, "siprof_ingest_profiles_received_total", "Profiles that arrived.")),
      bytes_(counter(registry, "siprof_ingest_profile_bytes_total",
                     "Compressed bytes of profiles that arrived.")),
      stored_(
          counter(registry, "siprof_ingest_profiles_stored_total", "Profiles stored for the first time.")),
      duplicate_(counter(registry, "siprof_ingest_profiles_duplicate_total", "Profiles delivered again.")),
      rejected_(
          counters(registry, "siprof_ingest_profiles_rejected_total", "Profiles that will never be stored.")),
      metrics_received_(counter(registry, "siprof_ingest_metrics_received_total",
                                "Messages with runtime metrics that arrived.")),
      points_(counter(registry, "siprof_ingest_metric_points_total", "Points of the metrics that arrived.")),
      metrics_stored_(counter(registry, "siprof_ingest_metrics_stored_total",
                              "Messages with runtime metrics stored for the first time.")),
      metrics_duplicate_(counter(registry, "siprof_ingest_metrics_duplicate_total",
                                 "Messages with runtime metrics delivered again.")),
      metrics_rejected_(counters(registry, "siprof_ingest_metrics_rejected_total",
                                 "Messages with runtime metrics that will never be stored.")),
      queue_profiles_(
          gauge(registry, "siprof_ingest_queue_profiles", "Profiles and metrics waiting for the store.")),
      queue_bytes_(gauge(registry, "siprof_ingest_queue_bytes",
                         "Memory of the profiles and metrics waiting for the store.")),
      write_seconds_(write_seconds(registry)),
      store_failures_(
          counter(registry, "siprof_ingest_store_failures_total",
                  "Profiles and metrics that the store couldn't take at the time; agents send them again.")),
      reloads_(
          counter(registry, "siprof_ingest_reloads_total", "Changed files read: tokens, configuration.")),
      failed_reloads_(counter(registry, "siprof_ingest_reload_failures_total",
                              "Changed files refused; what was in force before stays.")) {}

void IngestMetrics::set_queue(std::size_t profiles, std::size_t bytes) {
  queue_profiles_.Set(static_cast<double>(profiles));
  queue_bytes_.Set(static_cast<double>(bytes));
}

}  // namespace siprof::collector
