// SPDX-License-Identifier: Apache-2.0
// Fills one pprof profile. Every entity is written once and numbered from 1 in
// the order of writing; `bytes()` bounds the serialized size from above, so that
// the builder can split in time without serializing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector-client/aggregate/window.h"
#include "collector-client/pprof/string_table.h"
#include "collector-client/symbolize/source_frame.h"
#include "profile.pb.h"

namespace siprof::client {

// An address as it stands in a profile; `process` is 0 where a module is known. Frames of Python have neither
// address nor mapping there: their lines tell them apart.
struct Place {
  CodeAddress code;
  std::uint64_t process = 0;

  friend bool operator==(const Place&, const Place&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Place& p) {
    return H::combine(std::move(h), p.code, p.process);
  }
};

struct NamedPlace {
  Place place;
  const std::vector<SourceFrame>* frames;  // innermost first; empty: no name known
};

class ProfileWriter {
 public:
  // `main_executable` becomes mapping[0]; null: there is none.
  ProfileWriter(const KindInfo& kind, const Module* main_executable);

  // An empty stack becomes one location called "[unknown]".
  void add_sample(std::span<const NamedPlace> stack, const WindowSample& sample, std::size_t value_count);
  void add_comment(std::string_view text);

  // What that sample adds at most: known locations are free, new ones count as
  // if nothing of them were known. Frames' texts have been made presentable.
  std::size_t cost(std::span<const NamedPlace> stack, const WindowSample& sample) const;

  std::size_t bytes() const { return bytes_; }
  std::size_t samples() const { return static_cast<std::size_t>(profile_.sample_size()); }
  perftools::profiles::Profile take() { return std::move(profile_); }
  perftools::profiles::Profile* profile() { return &profile_; }

 private:
  std::int64_t text(std::string_view text);
  std::uint64_t mapping(const Module* module);
  std::uint64_t function(const SourceFrame& frame);
  std::uint64_t location(const NamedPlace& named);
  std::uint64_t unknown_location();
  void add_label(perftools::profiles::Sample* sample, const SampleLabel& label);
  void account(const google::protobuf::MessageLite& message);

  perftools::profiles::Profile profile_;
  StringTable strings_{&profile_};
  std::size_t bytes_ = 0;
  std::uint64_t unknown_location_ = 0;
  absl::flat_hash_map<const Module*, std::uint64_t> mappings_;
  absl::flat_hash_map<Place, std::uint64_t> locations_;
  absl::flat_hash_map<std::vector<std::int64_t>, std::uint64_t> functions_;  // by their fields
};

}  // namespace siprof::client
