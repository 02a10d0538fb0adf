// SPDX-License-Identifier: Apache-2.0
// What was found, by the module in which the leaf was; and for what isn't equal, the places whose rules
// decided it. Written as lines of fields between tabs, which corpus.py adds up.
#pragma once

#include <array>
#include <map>
#include <ostream>
#include <string>

#include "test/oracle/verdict.h"

namespace siprof::oracle {

class Report {
 public:
  void add(const ProcessView& view, const shim::CodeView& code, const shim::WalkResult& result,
           std::span<const std::uint64_t> ours, const OracleWalk& theirs);
  // module <tab> path <tab> one count for each of kColumns
  // place <tab> verdict <tab> module+offset <tab> count <tab> rule, and of wrong ones both walks
  void write(std::ostream& out) const;

 private:
  // Of truncated ones by WalkEnd: unknown, other, bounds, too deep.
  static constexpr std::array kColumns = {"equal", "both stop", "further", "unknown",
                                          "other", "bounds",    "deep",    "wrong"};
  struct Place {
    std::uint64_t count = 0;
    std::string detail;
  };
  std::map<std::string, std::array<std::uint64_t, kColumns.size()>> modules_;  // by path
  std::map<std::pair<std::size_t, std::string>, Place> places_;                // by column and place
};

}  // namespace siprof::oracle
