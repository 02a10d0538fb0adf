// SPDX-License-Identifier: Apache-2.0
// Compiled tables say at every row what the call-frame information says there.
#include "collector-client/unwind/table_compiler.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "collector-client/unwind/captured_stack.h"
#include "collector-client/unwind/frame_rules.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof::client {
namespace {

std::shared_ptr<const ElfImage> open_image(const std::string& path) {
  auto image = ElfImage::open(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), nullptr);
  REQUIRE(image.ok());
  return *image;
}

struct View {
  explicit View(const CompiledTable& table) {
    REQUIRE(table.bytes.size() >= sizeof header);
    std::memcpy(&header, table.bytes.data(), sizeof header);
    buckets = reinterpret_cast<const std::uint32_t*>(table.bytes.data() + sizeof header);
    rows = reinterpret_cast<const UnwindRow*>(table.bytes.data() + header.rows_offset);
    REQUIRE(header.rows_offset + (header.rows + 1u) * sizeof(UnwindRow) == table.bytes.size());
  }
  UnwindTable header{};
  const std::uint32_t* buckets;
  const UnwindRow* rows;
};

// What the row says and what elfutils said is one.
bool agree(std::uint32_t row, const FrameRule& rule) {
  switch (rule_kind(row)) {
    case RowKind::kNone:
      return rule.kind == FrameRule::Kind::kNone;
    case RowKind::kOutermost:
      return rule.kind == FrameRule::Kind::kOutermost;
    case RowKind::kSp:
    case RowKind::kFp: {
      // Registers that rows leave out may need an expression.
      if (rule.kind == FrameRule::Kind::kExpression) return true;
      const std::int32_t fp = rule.saved[1];
      return rule.kind == FrameRule::Kind::kPlain && rule.return_offset == -8 &&
             rule.cfa_register == (rule_kind(row) == RowKind::kSp ? kRsp : kRbp) &&
             rule.cfa_offset == static_cast<std::int32_t>(8 * rule_a(row)) &&
             (fp == kUnchanged ? rule_b(row) == 0 : fp == -8 * static_cast<std::int32_t>(rule_b(row)));
    }
    case RowKind::kSignal:
      return rule.signal_frame;
    case RowKind::kDerefSp:
    case RowKind::kDerefFp:
    case RowKind::kPlt:
      return rule.kind == FrameRule::Kind::kExpression;
    case RowKind::kRegister:
      // fp at fp is an expression.
      if (rule.kind == FrameRule::Kind::kExpression) return true;
      return rule.kind == FrameRule::Kind::kPlain && rule.return_offset == -8 &&
             rule.cfa_register == (rule_a(row) & 15) && rule_a(row) >> 13 == 0 &&
             rule.cfa_offset == static_cast<std::int32_t>(8 * (rule_a(row) >> 4 & 511)) &&
             (rule.saved[1] == kUnchanged ? rule_b(row) == 0
                                          : rule.saved[1] == -8 * static_cast<std::int32_t>(rule_b(row)));
    case RowKind::kOther:
      return rule.kind != FrameRule::Kind::kOutermost;
  }
  return false;
}

void check_table(const std::string& path) {
  INFO(path);
  const auto image = open_image(path);
  const auto table = compile_table(open_image(path));
  REQUIRE(table.ok());
  const View view(*table);
  Module module;
  module.path = path;
  module.image = image;
  FrameRulesCache rules;
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < view.header.rows; ++i) {
    const UnwindRow& row = view.rows[i];
    const UnwindRow& next = view.rows[i + 1];
    REQUIRE(row.address < next.address);
    const std::uint64_t last = std::min(next.address, view.header.address_span) - 1;
    for (const std::uint64_t at : {std::uint64_t{row.address}, last}) {
      const bool right = agree(row.rule, rules.find({&module, view.header.base + at}));
      if (!right) UNSCOPED_INFO(std::hex << view.header.base + at << " rule " << row.rule);
      wrong += !right;
    }
  }
  CHECK(wrong == 0);
  for (std::uint32_t i = 0; i <= view.header.buckets; ++i) {
    const std::uint64_t start = std::uint64_t{i} << kBucketShift;
    const std::uint32_t row = view.buckets[i];
    REQUIRE(row < view.header.rows);
    CHECK((view.rows[row].address <= start && view.rows[row + 1].address > start));
  }
  // The rest has to be copied: it must be rare.
  CHECK(table->other_rows * 50 <= table->rows);
  UNSCOPED_INFO(path << ": " << table->rows << " rows, " << table->other_rows << " other");
  SUCCEED();
}

}  // namespace

TEST_CASE("a table says at each row what the file says") {
  for (const char* path : {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/bin/bash",
                           "/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/proc/self/exe"}) {
    if (::access(path, R_OK) == 0) check_table(path);
  }
}

TEST_CASE("the vDSO has a table") {
  const auto image = ElfImage::vdso();
  if (image == nullptr) return;
  const auto table = compile_table(image);
  REQUIRE(table.ok());
  CHECK(table->rows > 10);
}

}  // namespace siprof::client
