// SPDX-License-Identifier: Apache-2.0
// See process_view.h.
#include "test/oracle/process_view.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "collector-client/unwind/table_compiler.h"
#include "test/unit/collector-client/unwind/self_capture.h"

namespace siprof::oracle {
namespace {

constexpr std::uint64_t kMostStackBytes = 1 << 20;

void copy_stack(const SteppedProcess& process, std::uint64_t low, std::uint64_t high, StackCopy* copy) {
  copy->low = low;
  copy->bytes.resize(std::min(high - low, kMostStackBytes));
  copy->bytes.resize(process.read(low, copy->bytes));
  copy->high = low + copy->bytes.size();
  copy->captured.bytes = copy->bytes;
  copy->captured.stack_start = low;
}

// The whole arena that there may ever be; only what is written is looked at.
const std::byte* map_arena(const client::TableArena& arena) {
  const client::UniqueFd file(open(arena.path().c_str(), O_RDONLY | O_CLOEXEC));
  void* at = mmap(nullptr, client::TableArena::kMaxBytes, PROT_READ, MAP_SHARED, file.get(), 0);
  return at == MAP_FAILED ? nullptr : static_cast<const std::byte*>(at);
}

// In every 50th row the caller's stack pointer is a word too high.
void damage(std::vector<std::byte>* table) {
  UnwindTable header;
  std::memcpy(&header, table->data(), sizeof header);
  auto* rows = reinterpret_cast<UnwindRow*>(table->data() + header.rows_offset);
  for (std::uint32_t i = 0; i < header.rows; i += 50) {
    if (rule_kind(rows[i].rule) == RowKind::kSp)
      rows[i].rule = make_rule(RowKind::kSp, rule_a(rows[i].rule) + 1, rule_b(rows[i].rule));
  }
}

}  // namespace

shim::StackBounds StackCopy::bounds(std::uint64_t from) const {
  return {from, high, reinterpret_cast<std::uint64_t>(bytes.data()) - low};
}

absl::StatusOr<ProcessView> ProcessView::make(bool damaged) {
  auto arena = client::TableArena::make();
  if (!arena.ok()) return arena.status();
  ProcessView view(*std::move(arena), damaged);
  if (view.arena_bytes_ == nullptr) return absl::ErrnoToStatus(errno, "cannot map the unwind tables");
  return view;
}

ProcessView::ProcessView(std::unique_ptr<client::TableArena> arena, bool damaged)
    : arena_(std::move(arena)),
      damaged_(damaged),
      arena_bytes_(map_arena(*arena_)),
      cache_(std::make_unique<client::ModuleCache>()),
      map_(std::make_unique<client::ModuleMap>(*cache_, std::make_shared<client::testing::PlainOpener>())),
      rule_cache_(shim::kRuleCacheSize) {}

std::uint32_t ProcessView::place_of(const client::Module* module) {
  if (module == nullptr || module->image == nullptr) return 0;
  const auto [known, is_new] = places_.try_emplace(module, 0);
  if (!is_new) return known->second;
  auto table = client::compile_table(module->image);
  if (table.ok() && damaged_) damage(&table->bytes);
  if (table.ok()) known->second = arena_->append(table->bytes).value_or(0);
  return known->second;
}

void ProcessView::read_maps(const SteppedProcess& process) {
  std::string text = process.maps();
  if (text == maps_text_) return;
  maps_text_ = std::move(text);
  map_->update(maps_text_);
  regions_.clear();
  for (std::size_t at = 0; at < maps_text_.size();) {
    const std::size_t end = std::min(maps_text_.find('\n', at), maps_text_.size());
    if (const auto line = client::parse_maps_line(std::string_view(maps_text_).substr(at, end - at)))
      regions_.push_back(*line);
    at = end + 1;
  }
  const auto own = std::ranges::find(regions_, "[stack]", &client::MapsLine::path);
  own_region_ = own != regions_.end() ? &*own : nullptr;
  ranges_.clear();
  for (const client::CodeMapping& mapping : map_->mappings()) {
    const std::uint32_t has_fps = mapping.module == nullptr ? 1 : 0;
    ranges_.push_back({mapping.start, mapping.end, mapping.bias, place_of(mapping.module), has_fps});
  }
}

const client::MapsLine* ProcessView::region_of(std::uint64_t address) const {
  const auto after = std::ranges::upper_bound(regions_, address, {}, &client::MapsLine::start);
  if (after == regions_.begin()) return nullptr;
  const client::MapsLine& region = *std::prev(after);
  return address < region.end ? &region : nullptr;
}

void ProcessView::copy_stacks(const SteppedProcess& process, std::uint64_t sp) {
  process_ = &process;
  const client::MapsLine* region = region_of(sp);
  if (region == nullptr) {  // a stack that has grown
    read_maps(process);
    region = region_of(sp);
  }
  if (region == nullptr) {
    copy_stack(process, sp, sp, &current_);
  } else {
    copy_stack(process, std::max(region->start, sp - kRedZone), region->end, &current_);
  }
  on_own_ = own_region_ == nullptr || region == own_region_;
  if (!on_own_) copy_stack(process, own_region_->start, own_region_->end, &own_);
}

shim::CodeView ProcessView::code() {
  return {arena_bytes_,       arena_->bytes(),   ranges_.data(), static_cast<std::uint32_t>(ranges_.size()),
          rule_cache_.data(), /*arena_number=*/1};
}

const StackCopy* ProcessView::stack_of(std::uint64_t sp) const {
  if (current_.holds(sp)) return &current_;
  return !on_own_ && own_.holds(sp) ? &own_ : nullptr;
}

}  // namespace siprof::oracle
