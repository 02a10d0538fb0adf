// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/pprof_rules.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace siprof::collector {
namespace {

using perftools::profiles::Label;
using perftools::profiles::Location;
using perftools::profiles::Profile;
using perftools::profiles::Sample;
using perftools::profiles::ValueType;

// The largest sum of one type in one profile: exact as a JSON number, and a
// thousand of them still add up in 64 bits. As nanoseconds it is 104 days.
constexpr std::int64_t kMaxTotal = std::int64_t{1} << 53;

template <typename... Parts>
absl::Status broken(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("pprof: ", parts...));
}

class Rules {
 public:
  Rules(const Profile& profile, const PprofLimits& limits) : profile_(profile), limits_(limits) {}

  absl::Status check() const {
    if (profile_.string_table_size() == 0 || !profile_.string_table(0).empty()) {
      return broken("string_table[0] has to be \"\"");
    }
    using Check = absl::Status (Rules::*)() const;
    for (const Check check : {&Rules::sample_types, &Rules::header, &Rules::mappings, &Rules::functions,
                              &Rules::locations, &Rules::samples}) {
      if (auto status = (this->*check)(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status header() const;
  absl::Status sample_types() const;
  absl::Status mappings() const;
  absl::Status functions() const;
  absl::Status locations() const;
  absl::Status samples() const;
  absl::Status labels(const Sample& sample, int index) const;
  absl::Status label(const Label& label, int index) const;
  absl::Status value_type(const ValueType& type, const std::string& what) const;
  absl::Status lines(const Location& location, int index) const;

  bool is_string(std::int64_t index) const { return index >= 0 && index < profile_.string_table_size(); }
  const std::string& string(std::int64_t index) const {
    return profile_.string_table(static_cast<int>(index));
  }
  bool is_name(std::int64_t index) const {
    return is_string(index) && !string(index).empty() && string(index).size() <= limits_.max_name_bytes;
  }

  const Profile& profile_;
  const PprofLimits& limits_;
};

absl::Status Rules::value_type(const ValueType& type, const std::string& what) const {
  if (!is_name(type.type()) || !is_name(type.unit())) {
    return broken(what, " needs a type and a unit of 1 to ", limits_.max_name_bytes, " bytes");
  }
  if (string(type.type()).find('-') != std::string::npos) {
    return broken(what, " '", string(type.type()), "' contains '-'");
  }
  return absl::OkStatus();
}

absl::Status Rules::sample_types() const {
  if (profile_.sample_type_size() == 0) return broken("no sample type");
  for (int i = 0; i < profile_.sample_type_size(); ++i) {
    if (auto status = value_type(profile_.sample_type(i), absl::StrCat("sample type ", i)); !status.ok()) {
      return status;
    }
    for (int j = 0; j < i; ++j) {
      if (string(profile_.sample_type(i).type()) == string(profile_.sample_type(j).type())) {
        return broken("sample types ", j, " and ", i, " have the same name");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Rules::header() const {
  if (profile_.duration_nanos() < 0 || profile_.period() < 0)
    return broken("duration and period can't be negative");
  if (profile_.has_period_type()) {
    if (auto status = value_type(profile_.period_type(), "period_type"); !status.ok()) return status;
  }
  for (const std::int64_t index :
       {profile_.drop_frames(), profile_.keep_frames(), profile_.doc_url(), profile_.default_sample_type()}) {
    if (!is_string(index)) return broken("a string index of the header is out of range");
  }
  for (const std::int64_t index : profile_.comment()) {
    if (!is_string(index)) return broken("a comment's string index is out of range");
  }
  if (profile_.default_sample_type() == 0) return absl::OkStatus();
  for (const ValueType& type : profile_.sample_type()) {
    if (string(type.type()) == string(profile_.default_sample_type())) return absl::OkStatus();
  }
  return broken("default_sample_type isn't one of the sample types");
}

absl::Status Rules::mappings() const {
  for (int i = 0; i < profile_.mapping_size(); ++i) {
    const auto& mapping = profile_.mapping(i);
    if (mapping.id() != static_cast<std::uint64_t>(i) + 1)
      return broken("mapping ", i, " has id ", mapping.id());
    if (!is_string(mapping.filename()) || !is_string(mapping.build_id())) {
      return broken("mapping ", i, " has a string index out of range");
    }
    if (mapping.memory_start() > mapping.memory_limit())
      return broken("mapping ", i, " ends before it starts");
  }
  return absl::OkStatus();
}

absl::Status Rules::functions() const {
  for (int i = 0; i < profile_.function_size(); ++i) {
    const auto& function = profile_.function(i);
    if (function.id() != static_cast<std::uint64_t>(i) + 1)
      return broken("function ", i, " has id ", function.id());
    if (!is_string(function.name()) || !is_string(function.system_name()) ||
        !is_string(function.filename())) {
      return broken("function ", i, " has a string index out of range");
    }
    if (string(function.name()).size() > limits_.max_name_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat("pprof: the name of function ", i, " is longer than ",
                                                       limits_.max_name_bytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status Rules::lines(const Location& location, int index) const {
  for (const auto& line : location.line()) {
    if (line.function_id() == 0 ||
        line.function_id() > static_cast<std::uint64_t>(profile_.function_size())) {
      return broken("location ", index, " names function ", line.function_id(), ", there are ",
                    profile_.function_size());
    }
  }
  return absl::OkStatus();
}

absl::Status Rules::locations() const {
  for (int i = 0; i < profile_.location_size(); ++i) {
    const Location& location = profile_.location(i);
    if (location.id() != static_cast<std::uint64_t>(i) + 1)
      return broken("location ", i, " has id ", location.id());
    if (location.mapping_id() > static_cast<std::uint64_t>(profile_.mapping_size())) {
      return broken("location ", i, " names mapping ", location.mapping_id(), ", there are ",
                    profile_.mapping_size());
    }
    if (auto status = lines(location, i); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Rules::label(const Label& label, int index) const {
  if (label.key() == 0 || !is_name(label.key()))
    return broken("sample ", index, " has a label without a proper key");
  if (!is_string(label.str()) || !is_string(label.num_unit())) {
    return broken("sample ", index, " has a label whose string index is out of range");
  }
  if (label.str() != 0 && (label.num() != 0 || label.num_unit() != 0)) {
    return broken("sample ", index, " has a label that is text and number at once");
  }
  return absl::OkStatus();
}

absl::Status Rules::labels(const Sample& sample, int index) const {
  for (int i = 0; i < sample.label_size(); ++i) {
    if (auto status = label(sample.label(i), index); !status.ok()) return status;
    for (int j = 0; j < i; ++j) {
      if (sample.label(i).key() == sample.label(j).key()) {
        return broken("sample ", index, " has the label '", string(sample.label(i).key()), "' twice");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Rules::samples() const {
  std::vector<std::int64_t> totals(static_cast<std::size_t>(profile_.sample_type_size()));
  for (int i = 0; i < profile_.sample_size(); ++i) {
    const Sample& sample = profile_.sample(i);
    if (sample.value_size() != profile_.sample_type_size()) {
      return broken("sample ", i, " has ", sample.value_size(), " values for ", profile_.sample_type_size(),
                    " sample types");
    }
    for (const std::uint64_t id : sample.location_id()) {
      if (id == 0 || id > static_cast<std::uint64_t>(profile_.location_size())) {
        return broken("sample ", i, " names location ", id, ", there are ", profile_.location_size());
      }
    }
    for (int type = 0; type < sample.value_size(); ++type) {
      std::int64_t& total = totals[static_cast<std::size_t>(type)];
      if (sample.value(type) < 0) return broken("sample ", i, " has a negative value");
      if (sample.value(type) > kMaxTotal - total)
        return broken("the values of sample type ", type, " add up to more than 2^53");
      total += sample.value(type);
    }
    if (auto status = labels(sample, i); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_rules(const Profile& profile, const PprofLimits& limits) {
  return Rules(profile, limits).check();
}

}  // namespace siprof::collector
