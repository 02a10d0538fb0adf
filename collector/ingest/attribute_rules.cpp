// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/attribute_rules.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace siprof::collector {
namespace {

// A series is identified by its attributes: the limits of the engines that siprof exports to.
constexpr int kMaxAttributes = 64;
constexpr std::size_t kMaxAttributeNameBytes = 1'024;
constexpr std::size_t kMaxAttributeValueBytes = 2'048;

absl::Status wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

}  // namespace

absl::Status check_attributes(const google::protobuf::Map<std::string, std::string>& attributes) {
  if (attributes.size() > kMaxAttributes)
    return wrong(absl::StrCat("more than ", kMaxAttributes, " attributes"));
  for (const auto& [name, value] : attributes) {
    if (name.empty() || name.size() > kMaxAttributeNameBytes) {
      return wrong(absl::StrCat("an attribute's name needs 1 to ", kMaxAttributeNameBytes, " bytes"));
    }
    if (value.size() > kMaxAttributeValueBytes) {
      return wrong(absl::StrCat("attribute ", absl::Utf8SafeCHexEscape(name.substr(0, 64)),
                                " is longer than ", kMaxAttributeValueBytes, " bytes"));
    }
  }
  const auto service = attributes.find("service.name");
  if (service == attributes.end() || service->second.empty())
    return wrong("attribute service.name is missing");
  return absl::OkStatus();
}

}  // namespace siprof::collector
