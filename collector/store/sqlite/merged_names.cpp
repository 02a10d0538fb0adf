// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/merged_names.h"

namespace siprof::collector::sqlite {
namespace {

// What a frame without a symbol is called: all of a file's together.
std::string file_name(const std::string& path) {
  const std::string base = path.substr(path.rfind('/') + 1);
  if (base.empty()) return "[unknown]";
  return base.front() == '[' ? base : "[" + base + "]";
}

}  // namespace

std::uint32_t MergedNames::text(const std::string& text) {
  const auto [slot, fresh] = texts_.try_emplace(text, merged_.strings.size());
  if (fresh) merged_.strings.push_back(text);
  return slot->second;
}

std::uint32_t MergedNames::string(std::int64_t id) {
  return text(view_.strings()[id]);
}

std::uint32_t MergedNames::mapping(std::int64_t id) {
  if (id == 0) return 0;
  const auto [slot, fresh] = mappings_.try_emplace(id, merged_.mappings.size() + 1);
  if (fresh) {
    const CatalogView::Mapping& m = view_.mappings()[id];
    merged_.mappings.push_back(
        {view_.strings()[m.file], view_.strings()[m.build_id], m.start, m.limit, m.offset});
  }
  return slot->second;
}

std::uint32_t MergedNames::frame(std::uint32_t id) {
  const auto [slot, fresh] = frames_.try_emplace(id, merged_.frames.size());
  if (fresh) merged_.frames.push_back(make_frame(view_.frames()[id]));
  return slot->second;
}

StackFrame MergedNames::make_frame(const CatalogView::Frame& frame) {
  StackFrame out;
  out.mapping = mapping(frame.mapping);
  out.line = frame.line;
  out.address = frame.address;
  out.inlined = frame.inlined;
  out.label = frame.label;
  const CatalogView::Function& function = view_.functions()[frame.function];
  out.system_name = string(function.system_name);
  out.file = string(function.file);
  out.start_line = function.start_line;
  out.name = string(function.name);
  if (out.name == 0) out.name = out.system_name;
  out.symbolized = out.name != 0;
  if (!out.symbolized) {
    const CatalogView::Mapping& m = view_.mappings()[frame.mapping];
    out.name = text(file_name(view_.strings()[m.file]));
  }
  return out;
}

}  // namespace siprof::collector::sqlite
