// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/catalog_view.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "collector/store/sqlite/layout.h"

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

absl::Status CatalogView::in_snapshot(const std::function<absl::Status()>& read) {
  if (absl::Status status = db_.run("BEGIN"); !status.ok()) return status;
  absl::Status status = start_over_if_swept();
  if (status.ok()) status = read();
  status.Update(db_.run("COMMIT"));
  return status;
}

absl::Status CatalogView::start_over_if_swept() {
  const absl::StatusOr<std::int64_t> now =
      db_.query_integer(absl::StrCat("SELECT value FROM setting WHERE name='", kGeneration, "'"));
  if (!now.ok()) return now.status();
  if (*now != generation_) rows_ = {};
  generation_ = *now;
  return absl::OkStatus();
}

absl::Status CatalogView::for_each(absl::string_view sql, std::int64_t after, std::int64_t service,
                                   const std::function<absl::Status(Statement&)>& visit) {
  absl::StatusOr<Statement> statement = db_.prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->bind(1, after);
  if (service != 0) statement->bind(2, service);
  while (true) {
    const absl::StatusOr<bool> row = statement->step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (absl::Status status = visit(*statement); !status.ok()) return status;
  }
}

// Column 0 is the id; parameter 1 the last one known.
template <typename Row, typename Read>
absl::Status CatalogView::append(absl::string_view sql, RowsById<Row>& rows, Read read) {
  return for_each(sql, rows.last(), 0, [&](Statement& row) {
    rows.add(row.integer(0), read(row));
    return absl::OkStatus();
  });
}

absl::Status CatalogView::read_strings() {
  return append("SELECT id,text FROM string WHERE id>?1 ORDER BY id", rows_.strings,
                [](Statement& s) { return owned(s.text(1)); });
}

absl::Status CatalogView::update_series() {
  return in_snapshot([this] { return read_series(); });
}

absl::Status CatalogView::read_series() {
  absl::Status status = append("SELECT id,name FROM service WHERE id>?1 ORDER BY id", rows_.services,
                               [](Statement& s) { return owned(s.text(1)); });
  status.Update(
      append("SELECT id,json FROM label_set WHERE id>?1 ORDER BY id", rows_.label_sets, [](Statement& s) {
        const auto json = nlohmann::json::parse(owned(s.text(1)), nullptr, /*allow_exceptions=*/false);
        return std::make_shared<const Labels>(json.is_object() ? json.get<Labels>() : Labels());
      }));
  status.Update(read_strings());
  if (!status.ok()) return status;
  return for_each("SELECT id,service_id,label_set_id,kind,types FROM series WHERE id>?1 ORDER BY id",
                  rows_.series.last(), 0, [this](Statement& row) {
                    Series series{row.integer(0),
                                  row.integer(1),
                                  rows_.strings[row.integer(3)],
                                  {},
                                  {},
                                  rows_.label_sets[row.integer(2)]};
                    if (series.labels == nullptr)
                      return absl::DataLossError("the catalogue has a series without its labels");
                    parse_types(rows_.strings[row.integer(4)], series);
                    rows_.series.add(series.id, std::move(series));
                    return absl::OkStatus();
                  });
}

absl::Status CatalogView::update_stacks(std::int64_t service) {
  return in_snapshot([this, service] { return read_stacks(service); });
}

absl::Status CatalogView::read_nodes(std::int64_t service) {
  std::vector<Node>& nodes = rows_.nodes[service];
  if (nodes.empty()) nodes.resize(1);
  return for_each("SELECT id,parent,frame_id FROM stack_node WHERE id>?1 AND service_id=?2 ORDER BY id",
                  static_cast<std::int64_t>(nodes.size()) - 1, service, [&nodes](Statement& row) {
                    const std::int64_t id = row.integer(0);
                    if (id > std::numeric_limits<std::int32_t>::max())
                      return absl::DataLossError("the catalogue has a stack with an impossible id");
                    nodes.resize(static_cast<std::size_t>(id) + 1);
                    nodes.back() = {static_cast<std::uint32_t>(row.integer(1)),
                                    static_cast<std::uint32_t>(row.integer(2))};
                    return absl::OkStatus();
                  });
}

absl::Status CatalogView::read_stacks(std::int64_t service) {
  absl::Status status = read_nodes(service);
  status.Update(
      append("SELECT id,function_id,line,mapping_id,address,inlined FROM frame WHERE id>?1 ORDER BY id",
             rows_.frames, [](Statement& s) {
               return Frame{s.integer(1),      s.integer(2),
                            s.integer(3),      static_cast<std::uint64_t>(s.integer(4)),
                            s.integer(5) == 1, s.integer(5) == kLabelFrame};
             }));
  status.Update(append("SELECT id,name,system_name,file,start_line FROM function WHERE id>?1 ORDER BY id",
                       rows_.functions, [](Statement& s) {
                         return Function{s.integer(1), s.integer(2), s.integer(3), s.integer(4)};
                       }));
  status.Update(append("SELECT id,file,build_id,start,limit_,offset_ FROM mapping WHERE id>?1 ORDER BY id",
                       rows_.mappings, [](Statement& s) {
                         return Mapping{s.integer(1), s.integer(2), static_cast<std::uint64_t>(s.integer(3)),
                                        static_cast<std::uint64_t>(s.integer(4)),
                                        static_cast<std::uint64_t>(s.integer(5))};
                       }));
  status.Update(read_strings());
  return status;
}

std::int64_t CatalogView::service_id(const std::string& name) const {
  const auto found = std::ranges::find(rows_.services, name, [](const auto& row) { return row.second; });
  return found == rows_.services.end() ? 0 : found->first;
}

}  // namespace siprof::collector::sqlite
