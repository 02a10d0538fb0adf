// SPDX-License-Identifier: Apache-2.0
// The embedded store's read side. Reads beside the writer (WAL): a query sees
// what was committed when it opened a day's file.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "collector/store/reader.h"
#include "collector/store/sqlite/catalog_view.h"
#include "collector/store/sqlite/day_reader.h"
#include "collector/store/sqlite/deadline_check.h"
#include "collector/store/sqlite/layout.h"
#include "collector/store/sqlite/level_windows.h"
#include "collector/store/sqlite/metric_row.h"

namespace siprof::collector::sqlite {

class SqliteReader final : public StoreReader {
 public:
  // After SqliteStore::open() has made the catalogue.
  static absl::StatusOr<std::unique_ptr<SqliteReader>> open(const std::string& dir, const Tier& finest);

  absl::StatusOr<std::vector<ServiceInfo>> services() const override;
  absl::StatusOr<std::map<std::string, std::set<std::string>>> labels(const std::string& service,
                                                                      TimeRange range) const override;
  absl::StatusOr<SeriesTotals> totals(const Selection& selection, const std::string& type,
                                      std::int64_t step_ns, const std::string& by) const override;
  absl::StatusOr<MergedStacks> stacks(const Selection& selection, const std::string& type) const override;
  absl::StatusOr<std::vector<MetricName>> metric_names(const Selection& selection) const override;
  absl::StatusOr<MetricHistory> metric_history(const Selection& selection, const std::string& name,
                                               const std::string& by) const override;

 private:
  // Series that a selection means, by id.
  using Chosen = std::map<std::int64_t, CatalogView::Series>;
  struct Merge;

  SqliteReader(Layout layout, Tier finest, std::unique_ptr<CatalogView> view)
      : layout_(std::move(layout)), finest_(std::move(finest)), view_(std::move(view)) {}

  absl::StatusOr<std::vector<ServiceInfo>> read_services() const;
  absl::StatusOr<std::map<std::string, std::set<std::string>>> read_labels(const std::string& service,
                                                                           TimeRange range) const;
  absl::StatusOr<SeriesTotals> read_totals(const Selection& selection, const std::string& type,
                                           std::int64_t step_ns, const std::string& by) const;
  absl::StatusOr<MergedStacks> read_stacks(const Selection& selection, const std::string& type) const;
  // sqlite_metrics.cpp
  absl::StatusOr<std::vector<MetricName>> read_metric_names(const Selection& selection) const;
  absl::StatusOr<MetricHistory> read_metric_history(const Selection& selection, const std::string& name,
                                                    const std::string& by) const;
  absl::StatusOr<Chosen> choose_metrics(const Selection& selection) const;
  // Calls `visit` for the chosen series that have metrics in a day, with the metrics that they have.
  absl::Status walk_metrics(const Chosen& chosen, const Selection& selection,
                            const std::function<absl::Status(DayReader&, const CatalogView::Series&,
                                                             const std::vector<std::int64_t>&)>& visit) const;
  absl::StatusOr<std::string> string_of(std::int64_t id) const;

  // Runs `query` again where a sweep came between; it has to begin anew then.
  absl::Status unswept(const std::function<absl::Status()>& query) const;
  template <typename Answer, typename Query>
  absl::StatusOr<Answer> answer_unswept(Query query) const {
    absl::StatusOr<Answer> answer;
    absl::Status status = unswept([&] { return (answer = query()).status(); });
    if (!status.ok()) return status;
    return answer;
  }
  // Of the catalogue as it is now.
  absl::StatusOr<std::int64_t> generation() const;
  absl::StatusOr<std::vector<DayPath>> days(TimeRange range) const;
  // Calls `visit` for the chosen series that are in a day, oldest day first.
  absl::Status walk(const Chosen& chosen, const Selection& selection,
                    const std::function<absl::Status(DayReader&, const CatalogView::Series&)>& visit) const;
  // All series and ranges of all days in `range`.
  absl::Status walk_ranges(TimeRange range,
                           const std::function<void(const CatalogView::Series&, SeriesRange)>& visit) const;
  absl::StatusOr<Chosen> choose(const Selection& selection) const;
  absl::StatusOr<LevelWindows> count_windows(const Chosen& chosen, const Selection& selection,
                                             DeadlineCheck& deadline) const;
  absl::Status merge(const Chosen& chosen, const Selection& selection, Merge& into) const;

  const Layout layout_;
  const Tier finest_;
  mutable std::mutex mutex_;  // view_
  std::unique_ptr<CatalogView> view_;
};

}  // namespace siprof::collector::sqlite
