// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/pprof_scan.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "collector/ingest/utf8.h"
#include "collector/ingest/wire_cursor.h"
#include "profile.pb.h"

namespace siprof::collector {
namespace {

using perftools::profiles::Function;
using perftools::profiles::Label;
using perftools::profiles::Line;
using perftools::profiles::Location;
using perftools::profiles::Mapping;
using perftools::profiles::Profile;
using perftools::profiles::Sample;
using perftools::profiles::ValueType;

// An unknown field is kept by the parser at 16 bytes or more each; agents send none.
constexpr std::size_t kMaxUnknownFields = 1'024;

absl::Status malformed(const char* what) {
  return absl::DataLossError(absl::StrCat("pprof: malformed protobuf in ", what));
}

absl::Status above(std::size_t limit, const char* what) {
  return absl::ResourceExhaustedError(absl::StrCat("pprof: more than ", limit, " ", what));
}

bool has_numbers(const WireCursor& cursor) {
  return cursor.has_bytes() || cursor.has_number();
}

// Of a repeated field, packed or not: a varint ends with the byte whose top bit is clear.
std::size_t numbers(const WireCursor& cursor) {
  if (cursor.has_number()) return 1;
  return static_cast<std::size_t>(std::ranges::count_if(
      cursor.bytes(), [](char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; }));
}

class Scan {
 public:
  explicit Scan(const PprofLimits& limits) : limits_(limits) {}
  absl::Status run(std::string_view raw);

 private:
  absl::Status field(const WireCursor& cursor);
  absl::Status sample(std::string_view message);
  absl::Status location(std::string_view message);
  absl::Status text(std::string_view string);
  absl::Status count(std::size_t& counter, std::size_t more, std::size_t limit, const char* what);
  absl::Status unknown() { return count(unknown_, 1, kMaxUnknownFields, "fields that pprof doesn't have"); }
  // A message whose fields 1 to `last_field` are all numbers. One in another form isn't an error for the
  // parser, which keeps it aside; here it is, or it would be a way round the counts.
  absl::Status numbers_only(std::string_view message, int last_field, const char* what);
  absl::Status counted(const WireCursor& cursor, std::size_t limit, const char* what);
  absl::Status scalar(const WireCursor& cursor);

  const PprofLimits& limits_;
  std::array<std::size_t, Profile::kStringTableFieldNumber + 1> counts_{};  // by field number
  std::size_t comments_ = 0;
  std::size_t unknown_ = 0;
};

absl::Status Scan::count(std::size_t& counter, std::size_t more, std::size_t limit, const char* what) {
  return (counter += more) > limit ? above(limit, what) : absl::OkStatus();
}

absl::Status Scan::text(std::string_view string) {
  const std::size_t index = counts_[Profile::kStringTableFieldNumber] - 1;
  if (string.size() > limits_.max_string_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("pprof: string ", index, " has ", string.size(),
                                                     " bytes, at most ", limits_.max_string_bytes,
                                                     " are taken"));
  }
  if (!is_utf8(string)) {
    return absl::InvalidArgumentError(absl::StrCat("pprof: string ", index, " isn't UTF-8"));
  }
  return absl::OkStatus();
}

absl::Status Scan::numbers_only(std::string_view message, int last_field, const char* what) {
  WireCursor cursor(message);
  while (cursor.next()) {
    if (cursor.field() > last_field) {
      if (auto status = unknown(); !status.ok()) return status;
    } else if (!cursor.has_number()) {
      return malformed(what);
    }
  }
  return cursor.malformed() ? malformed(what) : absl::OkStatus();
}

absl::Status Scan::sample(std::string_view message) {
  std::size_t locations = 0, values = 0, labels = 0;
  WireCursor cursor(message);
  while (cursor.next()) {
    absl::Status status;
    if (cursor.field() > Sample::kLabelFieldNumber) {
      status = unknown();
    } else if (cursor.field() == Sample::kLabelFieldNumber && cursor.has_bytes()) {
      status = count(labels, 1, limits_.max_labels, "labels in a sample");
      if (status.ok()) status = numbers_only(cursor.bytes(), Label::kNumUnitFieldNumber, "a label");
    } else if (cursor.field() == Sample::kLocationIdFieldNumber && has_numbers(cursor)) {
      status = count(locations, numbers(cursor), limits_.max_depth, "frames in a sample");
    } else if (cursor.field() == Sample::kValueFieldNumber && has_numbers(cursor)) {
      status = count(values, numbers(cursor), limits_.max_sample_types, "values in a sample");
    } else {
      status = malformed("a sample");
    }
    if (!status.ok()) return status;
  }
  return cursor.malformed() ? malformed("a sample") : absl::OkStatus();
}

absl::Status Scan::location(std::string_view message) {
  std::size_t lines = 0;
  WireCursor cursor(message);
  while (cursor.next()) {
    absl::Status status;
    if (cursor.field() > Location::kIsFoldedFieldNumber) {
      status = unknown();
    } else if (cursor.field() == Location::kLineFieldNumber && cursor.has_bytes()) {
      status = count(lines, 1, limits_.max_lines, "lines in a location");
      if (status.ok()) status = numbers_only(cursor.bytes(), Line::kColumnFieldNumber, "a line");
    } else if (cursor.field() == Location::kLineFieldNumber || !cursor.has_number()) {
      status = malformed("a location");
    }
    if (!status.ok()) return status;
  }
  return cursor.malformed() ? malformed("a location") : absl::OkStatus();
}

absl::Status Scan::counted(const WireCursor& cursor, std::size_t limit, const char* what) {
  if (!cursor.has_bytes()) return malformed(what);
  return count(counts_[static_cast<std::size_t>(cursor.field())], 1, limit, what);
}

// Fields after the string table: numbers, comments, one message.
absl::Status Scan::scalar(const WireCursor& cursor) {
  if (cursor.field() > Profile::kDocUrlFieldNumber) return unknown();
  if (cursor.field() == Profile::kCommentFieldNumber && has_numbers(cursor)) {
    return count(comments_, numbers(cursor), limits_.max_comments, "comments");
  }
  if (cursor.field() == Profile::kPeriodTypeFieldNumber && cursor.has_bytes()) {
    return numbers_only(cursor.bytes(), ValueType::kUnitFieldNumber, "period_type");
  }
  return cursor.has_number() ? absl::OkStatus() : malformed("the profile");
}

absl::Status Scan::field(const WireCursor& cursor) {
  absl::Status status;
  switch (cursor.field()) {
    case Profile::kSampleTypeFieldNumber:
      status = counted(cursor, limits_.max_sample_types, "sample types");
      return status.ok() ? numbers_only(cursor.bytes(), ValueType::kUnitFieldNumber, "a sample type")
                         : status;
    case Profile::kSampleFieldNumber:
      status = counted(cursor, limits_.max_samples, "samples: split the profile");
      return status.ok() ? sample(cursor.bytes()) : status;
    case Profile::kMappingFieldNumber:
      status = counted(cursor, limits_.max_mappings, "mappings");
      return status.ok() ? numbers_only(cursor.bytes(), Mapping::kHasInlineFramesFieldNumber, "a mapping")
                         : status;
    case Profile::kLocationFieldNumber:
      status = counted(cursor, limits_.max_locations, "locations");
      return status.ok() ? location(cursor.bytes()) : status;
    case Profile::kFunctionFieldNumber:
      status = counted(cursor, limits_.max_functions, "functions");
      return status.ok() ? numbers_only(cursor.bytes(), Function::kStartLineFieldNumber, "a function")
                         : status;
    case Profile::kStringTableFieldNumber:
      status = counted(cursor, limits_.max_strings, "strings");
      return status.ok() ? text(cursor.bytes()) : status;
    default:
      return scalar(cursor);
  }
}

absl::Status Scan::run(std::string_view raw) {
  WireCursor cursor(raw);
  while (cursor.next()) {
    if (auto status = field(cursor); !status.ok()) return status;
  }
  return cursor.malformed() ? malformed("the profile") : absl::OkStatus();
}

}  // namespace

absl::Status scan_pprof(std::string_view raw, const PprofLimits& limits) {
  return Scan(limits).run(raw);
}

}  // namespace siprof::collector
