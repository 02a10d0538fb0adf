// SPDX-License-Identifier: Apache-2.0
// Strings as the strictest readers want them.
#include "collector-client/pprof/string_table.h"

#include "collector-client/base/text.h"

namespace siprof::client {
std::int64_t StringTable::add(std::string_view text) {
  if (text.empty()) return 0;
  const auto known = ids_.find(to_absl(text));
  if (known != ids_.end()) return known->second;
  const std::string clean = presentable(text);
  // Two texts may become the same one; the table still holds it once.
  auto [entry, is_new] = ids_.try_emplace(clean, profile_->string_table_size());
  if (is_new) profile_->add_string_table(clean);
  const std::int64_t id = entry->second;
  if (clean != text) ids_.emplace(std::string(text), id);
  return id;
}

}  // namespace siprof::client
