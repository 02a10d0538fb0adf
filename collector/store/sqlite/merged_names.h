// SPDX-License-Identifier: Apache-2.0
// Copies the frames that a query's answer needs, with their names, out of the
// catalogue: ids become indices of the answer. Used by StackMerger.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "collector/store/reader.h"
#include "collector/store/sqlite/catalog_view.h"

namespace siprof::collector::sqlite {

class MergedNames {
 public:
  MergedNames(const CatalogView& view, MergedStacks& merged) : view_(view), merged_(merged) { text(""); }

  // Index of the frame in merged.frames. An id that isn't known becomes "[unknown]".
  std::uint32_t frame(std::uint32_t id);

 private:
  StackFrame make_frame(const CatalogView::Frame& frame);
  std::uint32_t string(std::int64_t id);
  std::uint32_t text(const std::string& text);
  std::uint32_t mapping(std::int64_t id);

  const CatalogView& view_;
  MergedStacks& merged_;
  absl::flat_hash_map<std::int64_t, std::uint32_t> frames_, mappings_;
  absl::flat_hash_map<std::string, std::uint32_t> texts_;
};

}  // namespace siprof::collector::sqlite
