// SPDX-License-Identifier: Apache-2.0
// Header and name of a spool file.
#include "collector-client/export/spool_file.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "collector-client/base/text.h"

namespace siprof::client {
namespace {

constexpr std::uint32_t kMagic = 0x4c505053;  // "SPPL"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kNameDigits = 20;
constexpr std::string_view kEnding = ".msg";

struct Header {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint64_t sequence = 0;
  std::uint32_t length = 0;
  std::uint32_t checksum = 0;
};
static_assert(sizeof(Header) == 24 && std::endian::native == std::endian::little);

std::uint32_t checksum_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

}  // namespace

std::string wrap_spool_file(std::uint64_t sequence, std::string_view message) {
  Header header;
  header.sequence = sequence;
  header.length = static_cast<std::uint32_t>(message.size());
  header.checksum = checksum_of(message);
  std::string file(reinterpret_cast<const char*>(&header), sizeof header);
  return file.append(message);
}

absl::StatusOr<std::string> unwrap_spool_file(std::uint64_t sequence, std::string_view file) {
  Header header;
  if (file.size() < sizeof header) return absl::DataLossError("too short");
  std::memcpy(&header, file.data(), sizeof header);
  file.remove_prefix(sizeof header);
  if (header.magic != kMagic) return absl::DataLossError("no spool file");
  if (header.version != kVersion) return absl::UnimplementedError("it is of another version of siprof");
  if (header.sequence != sequence) return absl::DataLossError("number and name differ");
  if (header.length != file.size()) return absl::DataLossError("wrong length");
  if (header.checksum != checksum_of(file)) return absl::DataLossError("wrong checksum");
  return std::string(file);
}

std::string spool_file_name(std::uint64_t sequence) {
  return absl::StrFormat("%0*d%s", static_cast<int>(kNameDigits), sequence, std::string(kEnding));
}

std::uint64_t sequence_of_file(std::string_view name) {
  std::uint64_t sequence = 0;
  if (name.size() != kNameDigits + kEnding.size() || !strip_suffix(&name, kEnding)) return 0;
  if (!std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isdigit(c); })) return 0;
  return absl::SimpleAtoi(to_absl(name), &sequence) ? sequence : 0;
}

}  // namespace siprof::client
