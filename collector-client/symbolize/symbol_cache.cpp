// SPDX-License-Identifier: Apache-2.0
// See symbol_cache.h. A file: magic with version, key, addresses, frames as in worker_protocol.h,
// CRC-32 of all before.
#include "collector-client/symbolize/symbol_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector-client/symbolize/file_opener.h"
#include "collector-client/symbolize/wire.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x32'73'6d'79'73'70'69'73;  // "sipsyms2": the last digit is the version
constexpr char kTemporary[] = ".new";

std::uint64_t checksum(std::string_view bytes) {
  return crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

std::optional<SymbolCache::Entries> decode(std::string_view bytes, const std::string& key) {
  if (bytes.size() < sizeof(std::uint64_t)) return std::nullopt;
  WireReader tail(bytes.substr(bytes.size() - sizeof(std::uint64_t)));
  bytes.remove_suffix(sizeof(std::uint64_t));
  WireReader in(bytes);
  if (tail.number() != checksum(bytes) || in.number() != kMagic || in.text() != key) return std::nullopt;
  std::vector<std::uint64_t> addresses(in.count());
  for (std::uint64_t& address : addresses) address = in.number();
  std::optional<NamedFrames> frames = decode_frames(in.text());
  if (!in.at_end() || !frames || frames->size() != addresses.size()) return std::nullopt;
  SymbolCache::Entries entries;
  for (std::size_t i = 0; i < addresses.size(); ++i) entries[addresses[i]] = std::move((*frames)[i]);
  return entries;
}

std::string encode(const SymbolCache::Entries& entries, const std::string& key) {
  WireWriter out;
  NamedFrames frames;
  out.number(kMagic);
  out.text(key);
  out.number(entries.size());
  for (const auto& [address, names] : entries) {
    out.number(address);
    frames.push_back(names);
  }
  out.text(encode(frames));
  const std::uint64_t sum = checksum(out.bytes());
  out.number(sum);
  return out.bytes();
}

absl::Status write_file(const std::string& path, std::string_view bytes) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return absl::ErrnoToStatus(errno, path);
  while (!bytes.empty()) {
    const ssize_t count = write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::ErrnoToStatus(errno, path);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return absl::OkStatus();
}

}  // namespace

std::string SymbolCache::path_of(const std::string& key) const {
  return absl::StrCat(folder_, "/", key);
}

SymbolCache::Entries SymbolCache::load(const std::string& key) {
  const std::string path = path_of(key);
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  if (!file || fs::file_size(path, error) > max_bytes_ || error) return {};
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::optional<Entries> entries = decode(bytes, key);
  if (!entries) {
    ++damaged_files_;
    return {};
  }
  utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // the mark of its last use; only an order, so it may fail
  return *std::move(entries);
}

absl::Status SymbolCache::store(const std::string& key, const Entries& entries) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create ", folder_, ": ", error.message()));
  const std::string bytes = encode(entries, key);
  const std::string temporary = absl::StrCat(path_of(key), ".", getpid(), kTemporary);
  if (bytes.size() > max_bytes_) return absl::OkStatus();  // it would be the first to be trimmed
  absl::Status written = write_file(temporary, bytes);
  if (written.ok() && std::rename(temporary.c_str(), path_of(key).c_str()) != 0) {
    written = absl::ErrnoToStatus(errno, path_of(key));
  }
  if (!written.ok()) unlink(temporary.c_str());
  return written;
}

absl::Status SymbolCache::trim() {
  struct File {
    fs::path path;
    fs::file_time_type used;
    std::uint64_t bytes;
  };
  std::vector<File> files;
  std::uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    std::error_code gone;
    File file{entry.path(), entry.last_write_time(gone), entry.file_size(gone)};
    if (gone) continue;
    const bool leftover = file.path.extension() == kTemporary &&
                          file.used < fs::file_time_type::clock::now() - std::chrono::hours(1);
    if (leftover) fs::remove(file.path, gone);
    total += file.bytes;
    files.push_back(std::move(file));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::UnavailableError(absl::StrCat("cannot list ", folder_, ": ", error.message()));
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (total <= max_bytes_) break;
    std::error_code gone;
    fs::remove(file.path, gone);
    total -= file.bytes;
  }
  return absl::OkStatus();
}

}  // namespace siprof::client
