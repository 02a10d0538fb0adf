// SPDX-License-Identifier: Apache-2.0
// Turns what profiles name (services, labels, functions, stacks) into ids of the
// catalogue, adding what is new. Used by the store's writer, inside one
// transaction per batch; what was looked up before costs a hash probe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/sqlite/catalog_sweep.h"
#include "collector/store/sqlite/database.h"
#include "collector/store/sqlite/intern_table.h"

namespace siprof::collector::sqlite {

class CatalogWriter {
 public:
  static absl::StatusOr<std::unique_ptr<CatalogWriter>> open(const std::string& path);

  // One transaction around all look-ups of a batch. With nothing new commit()
  // writes nothing. rollback() also forgets the ids that were given out.
  absl::Status begin();
  absl::Status commit();
  void rollback();

  absl::StatusOr<Id> service(absl::string_view name) { return services_.id_of(db_, name, added_); }
  absl::StatusOr<Id> agent(absl::string_view name) { return agents_.id_of(db_, name, added_); }
  absl::StatusOr<Id> string(absl::string_view text) { return strings_.id_of(db_, text, added_); }
  absl::StatusOr<Id> label_set(const std::map<std::string, std::string>& labels);
  absl::StatusOr<Id> series(Id service, Id label_set, absl::string_view kind, absl::string_view types);
  // {name, system name, file, start line}
  absl::StatusOr<Id> function(const std::array<Id, 4>& key) { return functions_.id_of(db_, key, added_); }
  // {file, build-id, start, limit, offset}
  absl::StatusOr<Id> mapping(const std::array<Id, 5>& key) { return mappings_.id_of(db_, key, added_); }
  // {function, line, mapping, address, inlined}; inlined is kLabelFrame for a sample's label, whose
  // function's name is "key: value"
  absl::StatusOr<Id> frame(const std::array<Id, 5>& key) { return frames_.id_of(db_, key, added_); }
  // `parent` 0: an outermost frame.
  absl::StatusOr<std::uint32_t> stack_node(Id service, std::uint32_t parent, Id frame);

  // Whole stacks that were walked before, so that one look-up stands for thirty.
  // 128 bits from a hash seeded per process: no two stacks meet.
  struct StackHash {
    std::uint64_t low = 0, high = 0;
    friend bool operator==(const StackHash&, const StackHash&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const StackHash& s) {
      return H::combine(std::move(h), s.low, s.high);
    }
    // This hash, then `next`.
    StackHash then(const StackHash& next) const {
      return {absl::HashOf(low, next.low), absl::HashOf(high, next.high, next.low)};
    }
  };
  std::optional<std::uint32_t> known_stack(const StackHash& hash) const {
    const auto found = stacks_.find(hash);
    return found == stacks_.end() ? std::nullopt : std::optional(found->second);
  }
  void remember_stack(const StackHash& hash, std::uint32_t node) { stacks_.emplace(hash, node); }

  // See catalog_sweep.h. Between two transactions only: ids that were given out may be gone after.
  absl::StatusOr<std::int64_t> sweep(std::span<const std::string> day_files, Sweep sweep);

  absl::StatusOr<Id> setting(absl::string_view name);
  absl::Status set_setting(absl::string_view name, Id value);

 private:
  struct Statements {
    Statement find_node, insert_node, last_node, find_setting, set_setting;
  };
  using Texts = InternTable<std::string>;
  template <std::size_t N>
  using Numbers = InternTable<std::array<Id, N>>;

  CatalogWriter(Database db, Texts services, Texts agents, Texts strings, Texts label_sets, Numbers<4> series,
                Numbers<4> functions, Numbers<5> mappings, Numbers<5> frames, Statements statements);
  absl::StatusOr<std::uint32_t*> last_node(Id service);
  void forget();
  std::size_t bytes() const;

  Database db_;
  Texts services_, agents_, strings_, label_sets_;
  Numbers<4> series_, functions_;
  Numbers<5> mappings_, frames_;
  Statements statements_;
  absl::flat_hash_map<StackHash, std::uint32_t> stacks_;
  absl::flat_hash_map<std::array<Id, 3>, std::uint32_t> nodes_;  // service, parent, frame
  absl::flat_hash_map<Id, std::uint32_t> last_nodes_;            // highest id of a service
  std::optional<Transaction> transaction_;
  bool added_ = false;
};

}  // namespace siprof::collector::sqlite
