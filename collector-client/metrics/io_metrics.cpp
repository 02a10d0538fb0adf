// SPDX-License-Identifier: Apache-2.0
// Exact sums of the calls that may block, as the process counts them itself while the kind io is on
// (proto/siprof/io_calls.h). They are in shared memory: its end loses none.
#include "collector-client/metrics/metric_source.h"
#include "collector-client/metrics/metric_table.h"

namespace siprof::client {
namespace {

constexpr const char* kCalls[] = {
#define SIPROF_IO_CALL_NAME(name) #name,
    SIPROF_IO_CALLS(SIPROF_IO_CALL_NAME)
#undef SIPROF_IO_CALL_NAME
};
static_assert(std::size(kCalls) == kIoCallCount);

class IoMetrics : public MetricSource {
 public:
  explicit IoMetrics(const SharedPool& pool) : pool_(pool), reported_(pool.io_sums()) {}

  void look(Look) override {}

  // Of calls that were made, and that moved something: there are dozens that a program never makes.
  void report(MetricOutput& out) override {
    const IoSums now = pool_.io_sums();
    for (std::uint32_t i = 0; i < kIoCallCount; ++i) {
      IoSum& before = reported_[i];
      const double calls = grown(now[i].calls, before.calls);
      const double bytes = grown(now[i].bytes, before.bytes);
      const double ns = grown(now[i].ns, before.ns);
      if (calls == 0 && bytes == 0 && ns == 0) continue;
      out.add(kIoCalls, calls, kCalls[i]);
      if (bytes != 0) out.add(kIoBytesMoved, bytes, kCalls[i]);
      out.add(kIoTime, ns / 1e9, kCalls[i]);
    }
  }

 private:
  // Hostile memory may go backwards; a counter doesn't.
  static double grown(std::uint64_t now, std::uint64_t& before) {
    if (now <= before) return 0;
    return static_cast<double>(now - std::exchange(before, now));
  }

  const SharedPool& pool_;
  IoSums reported_;
};

}  // namespace

std::unique_ptr<MetricSource> make_io_metrics(const MetricSubject& subject) {
  return std::make_unique<IoMetrics>(subject.pool);
}

}  // namespace siprof::client
