// SPDX-License-Identifier: Apache-2.0
// See file_cache.h. A file: Header, key, content.
#include "collector-client/base/file_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"

namespace siprof::client {
namespace {

namespace fs = std::filesystem;

constexpr char kTemporary[] = ".tmp";      // write_file_atomically()'s
constexpr std::size_t kMostAround = 4096;  // header and key

struct Header {
  std::uint64_t magic;
  std::uint64_t checksum;  // CRC-32 of all behind it
  std::uint64_t key_bytes;
};

std::uint64_t checksum(std::string_view bytes) {
  return crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

// Takes header and key off a file's bytes; false if they aren't what is wanted.
bool unwrap(std::string& bytes, std::uint64_t magic, const std::string& key) {
  Header header{};
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::string_view rest = std::string_view(bytes).substr(sizeof header);
  if (header.magic != magic || header.key_bytes != key.size() || !rest.starts_with(key) ||
      header.checksum != checksum(rest))
    return false;
  bytes.erase(0, sizeof header + key.size());
  return true;
}

std::string wrap(std::string_view content, std::uint64_t magic, const std::string& key) {
  std::string bytes(sizeof(Header), '\0');
  bytes += key;
  bytes += content;
  const Header header{magic, checksum(std::string_view(bytes).substr(sizeof(Header))), key.size()};
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

}  // namespace

std::string FileCache::path_of(const std::string& key) const {
  return absl::StrCat(folder_, "/", key);
}

std::optional<std::string> FileCache::load(const std::string& key) {
  const std::string path = path_of(key);
  std::error_code missing;
  if (!fs::is_regular_file(path, missing)) return std::nullopt;  // reading a FIFO would wait for a writer
  absl::StatusOr<std::string> bytes = read_file(path, max_bytes_ + kMostAround);
  if (!bytes.ok()) return std::nullopt;
  if (!unwrap(*bytes, magic_, key)) {
    ++damaged_files_;
    return std::nullopt;
  }
  utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // the mark of its last use; only an order, so it may fail
  return *std::move(bytes);
}

absl::Status FileCache::store(const std::string& key, std::string_view content) {
  if (content.size() > max_bytes_) return absl::OkStatus();
  const absl::Status made = make_folders(folder_);
  return made.ok() ? write_file_atomically(path_of(key), wrap(content, magic_, key)) : made;
}

absl::Status FileCache::trim() {
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
