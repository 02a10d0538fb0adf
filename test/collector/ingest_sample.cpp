// SPDX-License-Identifier: Apache-2.0
#include "test/collector/ingest_sample.h"

#include <zlib.h>

#include <cstdlib>

#include "absl/time/clock.h"

namespace siprof::collector {

perftools::profiles::Profile sample_pprof() {
  perftools::profiles::Profile profile;
  for (const char* text : {"", "samples", "count", "cpu", "nanoseconds", "main", "_Z4burnv", "burn()",
                           "main.cpp", "/usr/bin/app", "thread", "worker", "pid", "taken=2"}) {
    profile.add_string_table(text);
  }
  const auto add_type = [&profile](int type, int unit) {
    auto& added = *profile.add_sample_type();
    added.set_type(type);
    added.set_unit(unit);
  };
  add_type(1, 2);
  add_type(3, 4);
  auto& mapping = *profile.add_mapping();
  mapping.set_id(1), mapping.set_memory_start(0x1000), mapping.set_memory_limit(0x9000),
      mapping.set_filename(9);
  for (const int name : {5, 7}) {
    auto& function = *profile.add_function();
    function.set_id(static_cast<std::uint64_t>(profile.function_size()));
    function.set_name(name), function.set_system_name(name == 7 ? 6 : 5), function.set_filename(8);
  }
  for (const std::uint64_t function : {1, 2}) {
    auto& location = *profile.add_location();
    location.set_id(static_cast<std::uint64_t>(profile.location_size()));
    location.set_mapping_id(1), location.set_address(0x1000 + function);
    auto& line = *location.add_line();
    line.set_function_id(function), line.set_line(7);
  }
  for (const std::int64_t count : {3, 4}) {
    auto& sample = *profile.add_sample();
    if (count == 3) sample.add_location_id(2);
    sample.add_location_id(1);
    sample.add_value(count), sample.add_value(count * 10'000'000);
    auto& thread = *sample.add_label();
    thread.set_key(10), thread.set_str(11);
    auto& pid = *sample.add_label();
    pid.set_key(12), pid.set_num(4711);
  }
  profile.set_time_nanos(absl::ToUnixNanos(absl::Now() - absl::Seconds(10)));
  profile.set_duration_nanos(10'000'000'000);
  *profile.mutable_period_type() = profile.sample_type(1);
  profile.set_period(10'000'000);
  profile.set_default_sample_type(3);
  profile.add_comment(13);
  return profile;
}

v1::Metrics sample_metrics(std::uint64_t sequence) {
  v1::Metrics metrics;
  metrics.set_sequence(sequence);
  (*metrics.mutable_attributes())["service.name"] = "shop";
  const absl::Time end = absl::Now();
  const auto add = [&](const char* name, const char* unit, const char* pid,
                       double value) -> v1::MetricPoint& {
    v1::MetricPoint& point = *metrics.add_points();
    point.set_name(name);
    point.set_unit(unit);
    (*point.mutable_labels())["pid"] = pid;
    point.set_start_unix_nanos(absl::ToUnixNanos(end - absl::Seconds(10)));
    point.set_time_unix_nanos(absl::ToUnixNanos(end));
    point.set_value(value);
    return point;
  };
  for (const char* pid : {"17", "23"}) {
    add("process.memory.usage", "By", pid, 4096).set_type(v1::MetricPoint::GAUGE);
    for (const char* mode : {"user", "system"}) {
      v1::MetricPoint& time = add("process.cpu.time", "s", pid, 0.25);
      time.set_type(v1::MetricPoint::COUNTER);
      (*time.mutable_labels())["cpu.mode"] = mode;
    }
  }
  return metrics;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    std::abort();
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace siprof::collector
