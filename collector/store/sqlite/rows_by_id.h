// SPDX-License-Identifier: Apache-2.0
// Rows of a catalogue table in memory, by id. Ids are never given out twice, so
// with time most of them are gone: memory goes with the rows that are left.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace siprof::collector::sqlite {

template <typename Row>
class RowsById {
 public:
  // Highest id that was added; 0: none.
  std::int64_t last() const { return last_; }
  bool contains(std::int64_t id) const { return rows_.contains(id); }
  // An id that isn't there, 0 among them, is the empty row.
  const Row& operator[](std::int64_t id) const {
    static const Row kNone{};
    const auto found = rows_.find(id);
    return found == rows_.end() ? kNone : found->second;
  }
  void add(std::int64_t id, Row row) {
    rows_.insert_or_assign(id, std::move(row));
    last_ = std::max(last_, id);
  }
  std::size_t size() const { return rows_.size(); }
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }

 private:
  absl::flat_hash_map<std::int64_t, Row> rows_;
  std::int64_t last_ = 0;
};

}  // namespace siprof::collector::sqlite
