// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/catalog_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"

namespace siprof::collector::sqlite {
namespace {

ValueType parse_type(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  return {parts[0], parts.size() > 1 ? parts[1] : ""};
}

// "samples/count,cpu/nanoseconds;cpu/nanoseconds", written by types_key().
void parse_types(const std::string& text, CatalogView::Series& series) {
  const std::vector<std::string> halves = absl::StrSplit(text, absl::MaxSplits(';', 1));
  for (absl::string_view type : absl::StrSplit(halves[0], ',')) series.types.push_back(parse_type(type));
  if (halves.size() > 1) series.period_type = parse_type(halves[1]);
}

std::string owned(absl::string_view text) {
  return std::string(text);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CatalogView>> CatalogView::open(const std::string& path) {
  absl::StatusOr<Database> db = Database::open(path, Open::kReader);
  if (!db.ok()) return db.status();
  return std::unique_ptr<CatalogView>(new CatalogView(*std::move(db)));
}

// Column 0 is the id, and a row's index in `rows`; `bound` is the last one known.
template <typename Row, typename Read>
absl::Status CatalogView::append(absl::string_view sql, std::int64_t bound, std::vector<Row>& rows,
                                 Read read) {
  absl::StatusOr<Statement> statement = db_.prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->bind(1, static_cast<std::int64_t>(rows.size()) - 1);
  if (bound != 0) statement->bind(2, bound);
  while (true) {
    const absl::StatusOr<bool> row = statement->step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    const std::int64_t id = statement->integer(0);
    if (id < static_cast<std::int64_t>(rows.size()) ||
        id > static_cast<std::int64_t>(rows.size()) + (1 << 20))
      return absl::DataLossError("the catalogue has a gap in its ids");
    rows.resize(static_cast<std::size_t>(id) + 1);
    read(*statement, rows.back());
  }
}

absl::Status CatalogView::read_strings() {
  return append("SELECT id,text FROM string WHERE id>?1 ORDER BY id", 0, strings_,
                [](Statement& s, std::string& out) { out = owned(s.text(1)); });
}

// Dependents first, what they refer to after: without a common snapshot the
// later read may only see more.
absl::Status CatalogView::update_series() {
  struct Raw {
    std::int64_t service = 0, labels = 0, kind = 0, types = 0;
  };
  std::vector<Raw> raw(series_.size());
  const std::size_t known = raw.size();
  absl::Status status =
      append("SELECT id,service_id,label_set_id,kind,types FROM series WHERE id>?1 ORDER BY id", 0, raw,
             [](Statement& s, Raw& out) {
               out = {s.integer(1), s.integer(2), s.integer(3), s.integer(4)};
             });
  if (!status.ok() || raw.size() == known) return status;
  status.Update(append("SELECT id,name FROM service WHERE id>?1 ORDER BY id", 0, services_,
                       [](Statement& s, std::string& out) { out = owned(s.text(1)); }));
  status.Update(append("SELECT id,json FROM label_set WHERE id>?1 ORDER BY id", 0, label_sets_,
                       [](Statement& s, std::shared_ptr<const Labels>& out) {
                         const auto json =
                             nlohmann::json::parse(owned(s.text(1)), nullptr, /*allow_exceptions=*/false);
                         out =
                             std::make_shared<const Labels>(json.is_object() ? json.get<Labels>() : Labels());
                       }));
  status.Update(read_strings());
  if (!status.ok()) return status;
  for (std::size_t id = known; id < raw.size(); ++id) {
    const Raw& row = raw[id];
    Series series;
    if (row.service != 0) {
      series = {static_cast<std::int64_t>(id),
                row.service,
                strings_.at(static_cast<std::size_t>(row.kind)),
                {},
                {},
                label_sets_.at(static_cast<std::size_t>(row.labels))};
      parse_types(strings_.at(static_cast<std::size_t>(row.types)), series);
    }
    series_.push_back(std::move(series));
  }
  return absl::OkStatus();
}

absl::Status CatalogView::update_stacks(std::int64_t service) {
  std::vector<Node>& nodes = nodes_[service];
  if (nodes.empty()) nodes.resize(1);
  absl::Status status =
      append("SELECT id,parent,frame_id FROM stack_node WHERE id>?1 AND service_id=?2 ORDER BY id", service,
             nodes, [](Statement& s, Node& out) {
               out = {static_cast<std::uint32_t>(s.integer(1)), static_cast<std::uint32_t>(s.integer(2))};
             });
  status.Update(
      append("SELECT id,function_id,line,mapping_id,address,inlined FROM frame WHERE id>?1 ORDER BY id", 0,
             frames_, [](Statement& s, Frame& out) {
               out = {s.integer(1), s.integer(2), s.integer(3), static_cast<std::uint64_t>(s.integer(4)),
                      s.integer(5) != 0};
             }));
  status.Update(append("SELECT id,name,system_name,file,start_line FROM function WHERE id>?1 ORDER BY id", 0,
                       functions_, [](Statement& s, Function& out) {
                         out = {s.integer(1), s.integer(2), s.integer(3), s.integer(4)};
                       }));
  status.Update(append("SELECT id,file,build_id,start,limit_,offset_ FROM mapping WHERE id>?1 ORDER BY id", 0,
                       mappings_, [](Statement& s, Mapping& out) {
                         out = {s.integer(1), s.integer(2), static_cast<std::uint64_t>(s.integer(3)),
                                static_cast<std::uint64_t>(s.integer(4)),
                                static_cast<std::uint64_t>(s.integer(5))};
                       }));
  status.Update(read_strings());
  return status;
}

std::int64_t CatalogView::service_id(const std::string& name) const {
  const auto found = std::find(services_.begin() + 1, services_.end(), name);
  return found == services_.end() ? 0 : found - services_.begin();
}

}  // namespace siprof::collector::sqlite
