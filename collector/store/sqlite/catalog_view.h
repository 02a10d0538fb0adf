// SPDX-License-Identifier: Apache-2.0
// The catalogue in memory, as queries want it: ids are indices. Rows are only
// ever added, so it catches up by reading what lies behind the last id.
// Shared by all queries of a reader; not thread-safe (the reader locks it).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/reader.h"
#include "collector/store/sqlite/database.h"

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

  const std::vector<std::string>& services() const { return services_; }
  const std::vector<Series>& series() const { return series_; }  // [id]; id 0: an unused id
  // 0: unknown.
  std::int64_t service_id(const std::string& name) const;

  // By id; index 0 is "none" and there.
  const std::vector<std::string>& strings() const { return strings_; }
  const std::vector<Function>& functions() const { return functions_; }
  const std::vector<Mapping>& mappings() const { return mappings_; }
  const std::vector<Frame>& frames() const { return frames_; }
  const std::vector<Node>& nodes(std::int64_t service) { return nodes_[service]; }

 private:
  explicit CatalogView(Database db) : db_(std::move(db)) {}
  template <typename Row, typename Read>
  absl::Status append(absl::string_view sql, std::int64_t bound, std::vector<Row>& rows, Read read);
  absl::Status read_strings();

  Database db_;
  std::vector<std::string> services_{1};
  std::vector<std::shared_ptr<const Labels>> label_sets_{1};
  std::vector<Series> series_{1};
  std::vector<std::string> strings_{1};
  std::vector<Function> functions_{1};
  std::vector<Mapping> mappings_{1};
  std::vector<Frame> frames_{1};
  absl::flat_hash_map<std::int64_t, std::vector<Node>> nodes_;
};

}  // namespace siprof::collector::sqlite
