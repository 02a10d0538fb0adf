// SPDX-License-Identifier: Apache-2.0
// Flame graphs, tables, charts and pprof against results worked out by hand.
#include <catch2/catch.hpp>
#include <numeric>

#include "collector/query/chart.h"
#include "collector/query/flame.h"
#include "collector/query/gzip.h"
#include "collector/query/pprof_export.h"
#include "collector/query/top.h"
#include "test/collector/store_support.h"

namespace siprof::collector::test {
namespace {

MergedStacks stacks_of(const std::string& folded, const std::string& type = "cpu") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({}, folded);
  auto stacks = store.reader->stacks(select(), type);
  REQUIRE(stacks.ok());
  return *std::move(stacks);
}

std::vector<std::string> drawn(const FlameGraph& flame) {
  std::vector<std::string> rows;
  for (std::size_t i = 0; i < flame.name.size(); ++i)
    rows.push_back(flame.names[flame.name[i]] + " " + std::to_string(flame.parent[i]) + " " +
                   std::to_string(flame.self[i]) + "/" + std::to_string(flame.total[i]));
  return rows;
}

FlameGraph flame_of(const MergedStacks& stacks, std::size_t max_nodes) {
  return make_flame(stacks, merge_by_name(stacks, 0), "shop", max_nodes);
}

constexpr char kExample[] = "main;a;b 5\nmain;a 1\nmain;c;b 10\nmain;c 2\nstart 3";

TEST_CASE("a flame graph is depth first with children by falling total") {
  const FlameGraph flame = flame_of(stacks_of(kExample), 100);
  CHECK(drawn(flame) == std::vector<std::string>{"shop -1 0/21", "main 0 0/18", "c 1 2/12", "b 2 10/10",
                                                 "a 1 1/6", "b 4 5/5", "start 0 3/3"});
  CHECK(flame.nodes_in_all == 7);
  CHECK(flame.files[flame.file[3]] == "/src/b.cpp");
  CHECK(flame.files[flame.file[0]].empty());
}

TEST_CASE("what doesn't fit is summed below its parent as (other)") {
  const FlameGraph flame = flame_of(stacks_of(kExample), 6);
  CHECK(drawn(flame) == std::vector<std::string>{"shop -1 0/21", "main 0 0/18", "c 1 2/12", "b 2 10/10",
                                                 "(other) 1 6/6", "(other) 0 3/3"});
  CHECK(flame.nodes_in_all == 7);
}

TEST_CASE("every node limit is kept and loses nothing of the total") {
  std::string folded;
  for (int i = 0; i < 300; ++i)
    folded += "main;f" + std::to_string(i % 7) + ";g" + std::to_string(i % 31) + ";h" + std::to_string(i) +
              " " + std::to_string(1 + i * i % 97) + "\n";
  const MergedStacks stacks = stacks_of(folded);
  const std::int64_t total = std::accumulate(stacks.values.begin(), stacks.values.end(), std::int64_t{0});
  for (std::size_t limit = 1; limit < 600; ++limit) {
    const FlameGraph flame = flame_of(stacks, limit);
    CHECK(flame.name.size() <= limit);
    CHECK(flame.total[0] == total);
    if (limit == 1) continue;
    CHECK(std::accumulate(flame.self.begin(), flame.self.end(), std::int64_t{0}) == total);
    for (std::size_t i = 1; i < flame.parent.size(); ++i)
      CHECK(flame.parent[i] < static_cast<std::int32_t>(i));
  }
  CHECK(flame_of(stacks, 1).name.size() == 1);
}

TEST_CASE("recursion four thousand deep is drawn") {
  std::string line = "main";
  for (int i = 0; i < 4000; ++i) line += ";again";
  const FlameGraph flame = flame_of(stacks_of(line + " 1"), 100'000);
  CHECK(flame.name.size() == 4002);
  CHECK(make_top(stacks_of(line + " 1"), 0).functions.size() == 2);
}

TEST_CASE("no stacks at all are a root alone") {
  const TempDir dir;
  TestStore store(dir.path("store"));
  store.add({}, "main 1");
  const auto none = store.reader->stacks(select("shop", 0, 10), "cpu");
  REQUIRE(none.ok());
  CHECK(drawn(flame_of(*none, 10)) == std::vector<std::string>{"shop -1 0/0"});
  CHECK(make_top(*none, 0).functions.empty());
}

TEST_CASE("a function's total counts a stack once, however often the function is in it") {
  TopTable top = make_top(stacks_of("main;f;g;f 5\nmain;f 2\nmain;g;f;f;f 10\nmain 1"), 0);
  CHECK(top.total == 18);
  keep_largest(top, SortBy::kTotal, 10);
  REQUIRE(top.functions.size() == 3);
  CHECK(top.functions[0].name == "main");
  CHECK(top.functions[0].self == 1);
  CHECK(top.functions[0].total == 18);
  CHECK(top.functions[1].name == "f");
  CHECK(top.functions[1].self == 17);
  CHECK(top.functions[1].total == 17);
  CHECK(top.functions[2].name == "g");
  CHECK(top.functions[2].self == 0);
  CHECK(top.functions[2].total == 15);
  keep_largest(top, SortBy::kSelf, 1);
  REQUIRE(top.functions.size() == 1);
  CHECK(top.functions[0].name == "f");
}

TEST_CASE("a chart has every step, gaps where nothing was recorded, and sums the smallest lines as (other)") {
  SeriesTotals totals;
  totals.points["a"] = {{100 * kSecondNs, 5}, {120 * kSecondNs, 1}};
  totals.points["b"] = {{110 * kSecondNs, 10}};
  totals.points["c"] = {{110 * kSecondNs, 2}};
  totals.points["d"] = {{110 * kSecondNs, 1}};
  Chart chart = make_chart(totals, {105 * kSecondNs, 125 * kSecondNs}, 10, 2);
  CHECK(chart.times_s == std::vector<std::int64_t>{100, 110, 120});
  REQUIRE(chart.lines.size() == 3);
  CHECK(chart.lines[0].label == "b");
  CHECK(chart.lines[1].label == "a");
  CHECK(chart.lines[1].values == std::vector<std::optional<std::int64_t>>{5, std::nullopt, 1});
  CHECK(chart.lines[2].label == "(other)");
  CHECK(chart.lines[2].values == std::vector<std::optional<std::int64_t>>{std::nullopt, 3, std::nullopt});
  CHECK(chart.lines[1].total == 6);
  average_totals(chart);  // as for a level
  CHECK(chart.lines[0].total == 10);
  CHECK(chart.lines[1].total == 3);
}

TEST_CASE(
    "the merged pprof has sequential ids, all types, inlined calls in one location and addresses without "
    "symbols") {
  const perftools::profiles::Profile profile = make_pprof(stacks_of("main;a+b 5\nmain;? 7", ""), "cpu");
  REQUIRE(profile.sample_type_size() == 2);
  CHECK(profile.string_table(0).empty());
  CHECK(profile.string_table(static_cast<int>(profile.default_sample_type())) == "cpu");
  CHECK(profile.duration_nanos() == 10 * kSecondNs);
  for (int i = 0; i < profile.location_size(); ++i)
    CHECK(profile.location(i).id() == static_cast<std::uint64_t>(i + 1));
  for (int i = 0; i < profile.function_size(); ++i)
    CHECK(profile.function(i).id() == static_cast<std::uint64_t>(i + 1));
  CHECK(profile.mapping(0).has_inline_frames());
  REQUIRE(profile.sample_size() == 2);
  const auto name = [&profile](const perftools::profiles::Line& line) {
    return profile.string_table(
        static_cast<int>(profile.function(static_cast<int>(line.function_id()) - 1).name()));
  };
  for (const auto& sample : profile.sample()) {
    REQUIRE(sample.location_id_size() == 2);
    const auto& leaf = profile.location(static_cast<int>(sample.location_id(0)) - 1);
    CHECK(sample.value(0) == 1);
    if (sample.value(1) == 5) {
      REQUIRE(leaf.line_size() == 2);
      CHECK(name(leaf.line(0)) == "b");
      CHECK(name(leaf.line(1)) == "a");
    } else {
      CHECK(sample.value(1) == 7);
      CHECK(leaf.line_size() == 0);
      CHECK(leaf.address() > 0x1000);
    }
  }
}

TEST_CASE("gzip comes back") {
  const std::string text(100'000, 'x');
  CHECK(gunzip(gzip(text, GzipLevel::kFast)) == text);
  CHECK(gunzip("garbage").empty());
}

TEST_CASE("labels of samples are part of their stack, or nodes on top of it") {
  const MergedStacks stacks = stacks_of(
      "main;wait;@call=read;@fd=pipe;@thread=t1 5\nmain;wait;@fd=pipe;@call=read 7\nmain;wait;@call=poll 11\n"
      "main;wait 13");
  const NameTree folded = merge_by_name(stacks, 0);
  REQUIRE(folded.nodes.size() == 3);
  CHECK(folded.nodes[2].self == 36);
  const TopTable top = make_top(stacks, 0);
  REQUIRE(top.functions.size() == 2);

  const NameTree shown = merge_by_name(stacks, 0, Labels::kShow);
  std::map<std::string, std::int64_t> self;
  for (const NameTree::Node& node : shown.nodes) self[stacks.strings[node.name]] += node.self;
  CHECK(self ==
        std::map<std::string, std::int64_t>{
            {"", 0}, {"main", 0}, {"wait", 13}, {"call: poll", 11}, {"call: read", 0}, {"fd: pipe", 12}});
  CHECK(shown.nodes[0].total == 36);
}

TEST_CASE("an exported profile has the labels again") {
  const perftools::profiles::Profile profile =
      make_pprof(stacks_of("main;a;@type=std::bad_alloc;@handled=true 5\nmain;a 7", ""), "cpu");
  REQUIRE(profile.sample_size() == 2);
  std::map<std::string, std::string> labels;
  for (const auto& sample : profile.sample()) {
    CHECK(sample.location_id_size() == 2);
    for (const auto& label : sample.label())
      labels[profile.string_table(static_cast<int>(label.key()))] =
          profile.string_table(static_cast<int>(label.str()));
  }
  CHECK(labels == std::map<std::string, std::string>{{"type", "std::bad_alloc"}, {"handled", "true"}});
}

}  // namespace
}  // namespace siprof::collector::test
