// SPDX-License-Identifier: Apache-2.0
#include "test/bench/load_profiles.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "profile.pb.h"
#include "test/collector/ingest_sample.h"

namespace siprof::bench {
namespace {

constexpr std::size_t kStacks = 20'000;
constexpr std::size_t kFunctions = 3'000;
constexpr double kZipf = 1.05;

using Stack = std::vector<std::uint32_t>;  // functions, root first
using Random = std::mt19937_64;

// Few functions are in most stacks, most in few: about 800 different ones in a profile, as in a large
// service.
std::uint32_t draw_function(Random& random) {
  const double point = std::uniform_real_distribution<double>(0, 1)(random);
  return static_cast<std::uint32_t>(kFunctions * std::pow(point, 6));
}

// Most stacks branch off from an earlier one, as calls do.
std::vector<Stack> make_stacks(Random& random) {
  std::vector<Stack> stacks;
  stacks.reserve(kStacks);
  for (std::size_t i = 0; i < kStacks; ++i) {
    Stack stack = {0, 1, 2};
    if (i > 0) {
      const Stack& other = stacks[random() % i];
      stack.assign(other.begin(),
                   other.begin() + static_cast<std::ptrdiff_t>(3 + random() % (other.size() - 3)));
    }
    const std::size_t depth = 15 + random() % 21;
    while (stack.size() < depth) stack.push_back(draw_function(random));
    stacks.push_back(std::move(stack));
  }
  return stacks;
}

std::vector<double> zipf_sums() {
  std::vector<double> sums(kStacks);
  double sum = 0;
  for (std::size_t i = 0; i < kStacks; ++i) sums[i] = sum += std::pow(static_cast<double>(i + 1), -kZipf);
  return sums;
}

// How often each stack was hit in one window.
std::map<std::size_t, std::int64_t> draw(const std::vector<double>& sums, Random& random) {
  std::uniform_real_distribution<double> point(0, sums.back());
  std::map<std::size_t, std::int64_t> hits;
  for (int i = 0; i < kSamples; ++i) {
    ++hits[static_cast<std::size_t>(std::ranges::lower_bound(sums, point(random)) - sums.begin())];
  }
  return hits;
}

struct Types {
  std::vector<std::pair<const char*, const char*>> types;
};

const std::map<std::string, Types>& types_of() {
  static const auto& types = *new std::map<std::string, Types>{
      {"cpu", {{{"samples", "count"}, {"cpu", "nanoseconds"}}}},
      {"heap",
       {{{"alloc_objects", "count"},
         {"alloc_space", "bytes"},
         {"inuse_objects", "count"},
         {"inuse_space", "bytes"}}}},
      {"lock", {{{"contentions", "count"}, {"delay", "nanoseconds"}}}},
      {"io", {{{"contentions", "count"}, {"delay", "nanoseconds"}, {"bytes", "bytes"}}}},
      {"errors", {{{"exceptions", "count"}}}}};
  return types;
}

class Builder {
 public:
  Builder(int service, const std::string& kind) : service_(service) {
    string("");
    for (const auto& [type, unit] : types_of().at(kind).types) {
      auto& added = *profile_.add_sample_type();
      added.set_type(string(type));
      added.set_unit(string(unit));
    }
    auto& mapping = *profile_.add_mapping();
    mapping.set_id(1);
    mapping.set_memory_start(0x400000);
    mapping.set_memory_limit(0x4000000);
    mapping.set_filename(string(absl::StrCat("/usr/bin/service-", service)));
    profile_.set_time_nanos(absl::ToUnixNanos(absl::Now()));
    profile_.set_duration_nanos(10'000'000'000);
    *profile_.mutable_period_type() = *profile_.sample_type().rbegin();
    profile_.set_period(10'000'000);
  }

  void add(const Stack& stack, std::int64_t hits, Random& random) {
    auto& sample = *profile_.add_sample();
    for (auto frame = stack.rbegin(); frame != stack.rend(); ++frame)
      sample.add_location_id(location(*frame));
    for (int i = 0; i < profile_.sample_type_size(); ++i) {
      sample.add_value(i % 2 == 0 ? hits : hits * (10'000'000 + static_cast<std::int64_t>(random() % 1'000)));
    }
    auto& thread = *sample.add_label();
    thread.set_key(string("thread"));
    thread.set_str(string(absl::StrCat("worker-", random() % 4)));
  }

  std::string gzipped() const { return collector::gzip(profile_.SerializeAsString()); }

 private:
  std::int64_t string(const std::string& text) {
    const auto [entry, fresh] = strings_.try_emplace(text, profile_.string_table_size());
    if (fresh) profile_.add_string_table(text);
    return entry->second;
  }

  std::uint64_t location(std::uint32_t function) {
    const auto [entry, fresh] = locations_.try_emplace(function, locations_.size() + 1);
    if (!fresh) return entry->second;
    auto& added = *profile_.add_function();
    added.set_id(entry->second);
    added.set_name(string(absl::StrCat("service", service_, "::module", function % 40, "::Class",
                                       function % 310, "::method_", function, "(int, std::string const&)")));
    added.set_system_name(string(absl::StrCat("_ZN8service", service_, "6method", function, "EiRKSs")));
    added.set_filename(string(
        absl::StrCat("/src/service", service_, "/module", function % 40, "/class", function % 310, ".cpp")));
    auto& location = *profile_.add_location();
    location.set_id(entry->second);
    location.set_mapping_id(1);
    location.set_address(0x400000 + function * 64ULL);
    auto& line = *location.add_line();
    line.set_function_id(entry->second);
    line.set_line(10 + function % 500);
    return entry->second;
  }

  int service_;
  perftools::profiles::Profile profile_;
  std::unordered_map<std::string, std::int64_t> strings_;
  std::unordered_map<std::uint32_t, std::uint64_t> locations_;
};

}  // namespace

ServiceProfiles make_service_profiles(int number, int distinct) {
  Random random(static_cast<std::uint64_t>(number));
  const std::vector<Stack> stacks = make_stacks(random);
  static const std::vector<double> sums = zipf_sums();
  ServiceProfiles made{.service = absl::StrCat("load-", number), .gzipped = {}};
  for (const char* kind : kKinds) {
    std::vector<std::string>& profiles = made.gzipped.emplace_back();
    for (int i = 0; i < distinct; ++i) {
      Builder builder(number, kind);
      for (const auto& [stack, hits] : draw(sums, random)) builder.add(stacks[stack], hits, random);
      profiles.push_back(builder.gzipped());
    }
  }
  return made;
}

}  // namespace siprof::bench
