// SPDX-License-Identifier: Apache-2.0
// gzip by zlib, in one call each way.
#include "collector-client/base/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace siprof::client {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // 16: gzip header instead of zlib's
constexpr int kLevel = 6;

Bytef* input_of(std::string_view bytes) {
  // zlib's next_in isn't const unless ZLIB_CONST; it is never written through.
  return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
}

}  // namespace

absl::StatusOr<std::string> gzip(std::string_view plain) {
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindowBits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return absl::ResourceExhaustedError("gzip: no memory for the compressor");
  }
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = input_of(plain);
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return absl::InternalError(absl::StrCat("gzip: deflate said ", result));
  return packed;
}

absl::StatusOr<std::string> gunzip(std::string_view packed, std::size_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) {
    return absl::ResourceExhaustedError("gzip: no memory for the decompressor");
  }
  stream.next_in = input_of(packed);
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string plain;
  int result = Z_OK;
  while (result == Z_OK && plain.size() <= max_bytes) {
    const std::size_t have = plain.size();
    plain.resize(std::min(max_bytes + 1, std::max<std::size_t>(have * 2, 16384)));
    stream.next_out = reinterpret_cast<Bytef*>(plain.data() + have);
    stream.avail_out = static_cast<uInt>(plain.size() - have);
    result = inflate(&stream, Z_NO_FLUSH);
    plain.resize(plain.size() - stream.avail_out);
  }
  const bool more_input = stream.avail_in != 0;
  inflateEnd(&stream);
  if (plain.size() > max_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("gzip: holds more than ", max_bytes, " bytes"));
  }
  if (result != Z_STREAM_END || more_input)
    return absl::InvalidArgumentError("gzip: not one complete stream");
  return plain;
}

}  // namespace siprof::client
