// SPDX-License-Identifier: Apache-2.0
// The strict rules, one function an entity.
#include "collector-client/pprof/validate.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "collector-client/pprof/string_table.h"

namespace siprof::client {
namespace {

using perftools::profiles::Profile;

absl::Status broken(const std::string& rule) {
  return absl::InvalidArgumentError(absl::StrCat("profile breaks a rule: ", rule));
}

bool is_text(const Profile& p, std::int64_t id) {
  return id >= 0 && id < p.string_table_size();
}

template <typename Entities>
absl::Status check_ids(const Entities& entities, const char* what) {
  std::uint64_t expected = 1;
  for (const auto& entity : entities) {
    if (entity.id() != expected) {
      return broken(absl::StrCat(what, " ", expected - 1, " has id ", entity.id(), ", not index + 1"));
    }
    ++expected;
  }
  return absl::OkStatus();
}

absl::Status check_strings(const Profile& p) {
  if (p.string_table_size() == 0 || !p.string_table(0).empty()) return broken("string_table[0] is not \"\"");
  std::set<std::string_view> seen;
  for (const std::string& text : p.string_table()) {
    if (presentable(text) != text) return broken("a string is no UTF-8 or longer than 1 KiB");
    if (!seen.insert(text).second) return broken(absl::StrCat("string \"", text, "\" is there twice"));
  }
  return absl::OkStatus();
}

absl::Status check_types(const Profile& p) {
  bool default_is_known = p.default_sample_type() == 0;
  for (const auto& type : p.sample_type()) {
    if (!is_text(p, type.type()) || !is_text(p, type.unit()) || type.type() == 0) {
      return broken("a sample type has no name");
    }
    if (p.string_table(static_cast<int>(type.type())).find('-') != std::string::npos) {
      return broken("a sample type contains '-'");
    }
    default_is_known |= type.type() == p.default_sample_type();
  }
  if (!default_is_known) return broken("default_sample_type is none of the types");
  if (!is_text(p, p.period_type().type()) || !is_text(p, p.period_type().unit())) {
    return broken("period_type has no name");
  }
  if (p.sample_type().empty() && !p.sample().empty()) return broken("samples without a sample type");
  return absl::OkStatus();
}

absl::Status check_code(const Profile& p) {
  for (const auto& mapping : p.mapping()) {
    if (!is_text(p, mapping.filename()) || !is_text(p, mapping.build_id()))
      return broken("a mapping's texts");
  }
  for (const auto& function : p.function()) {
    if (!is_text(p, function.name()) || !is_text(p, function.system_name()) ||
        !is_text(p, function.filename())) {
      return broken("a function's texts");
    }
  }
  for (const auto& location : p.location()) {
    if (location.mapping_id() > static_cast<std::uint64_t>(p.mapping_size())) {
      return broken("a location's mapping does not exist");
    }
    for (const auto& line : location.line()) {
      if (line.function_id() == 0 || line.function_id() > static_cast<std::uint64_t>(p.function_size())) {
        return broken("a line's function does not exist");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status check_labels(const Profile& p, const perftools::profiles::Sample& sample) {
  std::set<std::int64_t> keys;
  for (const auto& label : sample.label()) {
    if (!is_text(p, label.key()) || label.key() == 0) return broken("a label has no key");
    if (!is_text(p, label.str()) || !is_text(p, label.num_unit())) return broken("a label's texts");
    if (label.str() != 0 && label.num() != 0) return broken("a label is text and number at once");
    if (!keys.insert(label.key()).second) return broken("a sample has a label twice");
  }
  return absl::OkStatus();
}

absl::Status check_samples(const Profile& p) {
  for (const auto& sample : p.sample()) {
    if (sample.value_size() != p.sample_type_size()) return broken("a sample's values do not fit the types");
    if (sample.location_id().empty()) return broken("a sample has no location");
    for (std::uint64_t id : sample.location_id()) {
      if (id == 0 || id > static_cast<std::uint64_t>(p.location_size())) {
        return broken("a sample's location does not exist");
      }
    }
    if (absl::Status status = check_labels(p, sample); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_strict(const Profile& p) {
  absl::Status status = check_strings(p);
  if (status.ok()) status = check_types(p);
  if (status.ok()) status = check_ids(p.mapping(), "mapping");
  if (status.ok()) status = check_ids(p.location(), "location");
  if (status.ok()) status = check_ids(p.function(), "function");
  if (status.ok()) status = check_code(p);
  if (status.ok()) status = check_samples(p);
  for (std::int64_t comment : p.comment()) {
    if (status.ok() && !is_text(p, comment)) status = broken("a comment's text");
  }
  return status;
}

}  // namespace siprof::client
