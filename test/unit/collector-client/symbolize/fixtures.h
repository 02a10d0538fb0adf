// SPDX-License-Identifier: Apache-2.0
// Where the tests of this folder find the files that meson made for them.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "collector-client/symbolize/elf_image.h"
#include "collector-client/symbolize/file_opener.h"

namespace siprof::client::testing {

inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) FAIL("run it by meson test, which sets " << name);
  return value;
}

inline std::string fixture(const std::string& name) {
  return environment("FIXTURES") + "/" + name;
}

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_all(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// A folder as the root of a process.
class FolderOpener : public FileOpener {
 public:
  explicit FolderOpener(std::string folder) : folder_(std::move(folder)) {}
  absl::StatusOr<int> open(const std::string& path, std::uint64_t, std::uint64_t) override {
    const int fd = ::open((folder_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return absl::ErrnoToStatus(errno, path);
    return fd;
  }

 private:
  std::string folder_;
};

inline std::shared_ptr<const ElfImage> open_image(const std::string& path,
                                                  std::shared_ptr<FileOpener> root = nullptr) {
  auto image = ElfImage::open(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), std::move(root));
  INFO(path << ": " << image.status().message());
  REQUIRE(image.ok());
  return *image;
}

// Removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "siprof-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace siprof::client::testing
