// SPDX-License-Identifier: Apache-2.0
// The catalogue in memory, as queries want it: by id. It catches up by reading what
// lies behind the last id; after a sweep (catalog_sweep.h) it starts over, and a
// query that began before has to as well (generation()).
// Shared by all queries of a reader; not thread-safe (the reader locks it).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/reader.h"
#include "collector/store/sqlite/database.h"
#include "collector/store/sqlite/rows_by_id.h"

namespace siprof::collector::sqlite {

class CatalogView {
 public:
  using Labels = std::map<std::string, std::string>;

  struct Series {
    std::int64_t id = 0;
    std::int64_t service = 0;
    std::string kind;
    std::vector<ValueType> types;
    ValueType period_type;
    std::shared_ptr<const Labels> labels;
  };
  struct Function {
    std::int64_t name = 0, system_name = 0, file = 0, start_line = 0;
  };
  struct Mapping {
    std::int64_t file = 0, build_id = 0;
    std::uint64_t start = 0, limit = 0, offset = 0;
  };
  struct Frame {
    std::int64_t function = 0, line = 0, mapping = 0;
    std::uint64_t address = 0;
    bool inlined = false;
    bool label = false;
  };
  struct Node {
    std::uint32_t parent = 0;
    std::uint32_t frame = 0;
  };

  static absl::StatusOr<std::unique_ptr<CatalogView>> open(const std::string& path);

  // Services and series. Cheap when nothing is new.
  absl::Status update_series();
  // Nodes of one service, and all frames and strings.
  absl::Status update_stacks(std::int64_t service);
  // Counts sweeps, as of the last update.
  std::int64_t generation() const { return generation_; }

  const RowsById<std::string>& services() const { return rows_.services; }
  const RowsById<Series>& series() const { return rows_.series; }
  // 0: unknown.
  std::int64_t service_id(const std::string& name) const;

  const RowsById<std::string>& strings() const { return rows_.strings; }
  const RowsById<Function>& functions() const { return rows_.functions; }
  const RowsById<Mapping>& mappings() const { return rows_.mappings; }
  const RowsById<Frame>& frames() const { return rows_.frames; }
  // By index, as stacks are added up; a node that was swept is an outermost one without a frame.
  const std::vector<Node>& nodes(std::int64_t service) { return rows_.nodes[service]; }

 private:
  struct Rows {
    RowsById<std::string> services;
    RowsById<std::shared_ptr<const Labels>> label_sets;
    RowsById<Series> series;
    RowsById<std::string> strings;
    RowsById<Function> functions;
    RowsById<Mapping> mappings;
    RowsById<Frame> frames;
    absl::flat_hash_map<std::int64_t, std::vector<Node>> nodes;
  };

  explicit CatalogView(Database db) : db_(std::move(db)) {}
  // `read` in one snapshot of the catalogue, of which `generation_` is told first.
  absl::Status in_snapshot(const std::function<absl::Status()>& read);
  absl::Status start_over_if_swept();
  absl::Status for_each(absl::string_view sql, std::int64_t after, std::int64_t service,
                        const std::function<absl::Status(Statement&)>& visit);
  template <typename Row, typename Read>
  absl::Status append(absl::string_view sql, RowsById<Row>& rows, Read read);
  absl::Status read_series();
  absl::Status read_stacks(std::int64_t service);
  absl::Status read_nodes(std::int64_t service);
  absl::Status read_strings();

  Database db_;
  std::int64_t generation_ = 0;
  Rows rows_;
};

}  // namespace siprof::collector::sqlite
