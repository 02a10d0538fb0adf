// SPDX-License-Identifier: Apache-2.0
// /api/v1/…: parameters to a query to JSON. Knows no sockets: HttpServer calls it
// from its threads, tests call it directly.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector/http/answer.h"
#include "collector/http/params.h"
#include "collector/store/reader.h"

namespace siprof::collector {

class Api {
 public:
  struct Limits {
    std::ptrdiff_t parallel_queries = 4;
    absl::Duration wait_for_turn = absl::Seconds(5);
    absl::Duration query_time = absl::Seconds(30);
  };

  // `reader` outlives the API.
  Api(const StoreReader& reader, std::function<std::int64_t()> now_ns, Limits limits);
  Api(const StoreReader& reader, std::function<std::int64_t()> now_ns);
  ~Api();

  // `path` is what follows /api/v1/. Any thread.
  absl::StatusOr<Answer> get(const std::string& path, const RawParams& raw) const;

 private:
  class Turns;
  absl::StatusOr<Answer> services(const RawParams& raw) const;
  absl::StatusOr<Answer> labels(const RawParams& raw) const;
  absl::StatusOr<Answer> label_values(const std::string& name, const RawParams& raw) const;
  absl::StatusOr<Answer> series(const RawParams& raw) const;
  absl::StatusOr<Answer> flame(const RawParams& raw) const;
  absl::StatusOr<Answer> top(const RawParams& raw) const;
  absl::StatusOr<Answer> profile(const RawParams& raw) const;
  absl::StatusOr<Answer> metrics(const RawParams& raw) const;
  absl::StatusOr<Answer> metric_names(const Params& params) const;
  // What a metric that has no data in a selection is, or an error that names the known ones.
  absl::StatusOr<MetricName> known_metric(const Params& params) const;
  // The unit of a type that has no data in a selection, or an error that names the known types.
  absl::StatusOr<std::string> unit_of(const Params& params) const;

  const StoreReader& reader_;
  const std::function<std::int64_t()> now_ns_;
  const Limits limits_;
  const std::unique_ptr<Turns> turns_;
};

}  // namespace siprof::collector
