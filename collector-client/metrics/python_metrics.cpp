// SPDX-License-Identifier: Apache-2.0
// Metrics of a Python interpreter, as the process counts them inside it (proto/siprof/python_sums.h). They
// are in shared memory: its end loses none.
#include "collector-client/metrics/metric_source.h"
#include "collector-client/metrics/metric_table.h"

namespace siprof::client {
namespace {

constexpr const char* kGenerations[] = {"0", "1", "2"};
static_assert(std::size(kGenerations) == kPythonGenerations);

class PythonMetrics : public MetricSource {
 public:
  // What a process that no agent has looked at before did until now counts.
  explicit PythonMetrics(const MetricSubject& subject) : pool_(subject.pool) {
    if (!subject.is_new) reported_ = pool_.python_sums();
  }

  void look(Look look) override { process_is_over_ = look == Look::kLast; }

  void report(MetricOutput& out) override {
    const InterpreterSums now = pool_.python_sums();
    if (!now.counted && !reported_.counted) return;
    // An interpreter that has ended has no levels any more, unless its process has ended with it.
    const bool is_over = !now.counted && !process_is_over_;
    reported_.counted = now.counted;
    for (std::uint32_t i = 0; i < kPythonGenerations; ++i) {
      const InterpreterSums::Generation& seen = now.generations[i];
      InterpreterSums::Generation& before = reported_.generations[i];
      out.add(kGcCollections, grown(seen.collections, before.collections), kGenerations[i]);
      out.add(kGcCollected, grown(seen.collected, before.collected), kGenerations[i]);
      out.add(kGcUncollectable, grown(seen.uncollectable, before.uncollectable), kGenerations[i]);
      out.add(kGcPause, grown(seen.pause_ns, before.pause_ns) / 1e9, kGenerations[i]);
    }
    if (is_over) return;
    if (now.modules != 0) out.add(kModules, static_cast<double>(now.modules));
    if (now.allocated_blocks != 0) out.add(kAllocatedBlocks, static_cast<double>(now.allocated_blocks));
  }

 private:
  // Hostile memory may go backwards; a counter doesn't.
  static double grown(std::uint64_t now, std::uint64_t& before) {
    if (now <= before) return 0;
    return static_cast<double>(now - std::exchange(before, now));
  }

  const SharedPool& pool_;
  InterpreterSums reported_;
  bool process_is_over_ = false;
};

}  // namespace

std::unique_ptr<MetricSource> make_python_metrics(const MetricSubject& subject) {
  return std::make_unique<PythonMetrics>(subject);
}

}  // namespace siprof::client
