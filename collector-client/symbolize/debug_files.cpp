// SPDX-License-Identifier: Apache-2.0
// See debug_files.h.
#include "collector-client/symbolize/debug_files.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {
namespace {

constexpr char kDebugRoot[] = "/usr/lib/debug";

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::string build_id_path(const std::string& build_id) {
  return absl::StrCat(kDebugRoot, "/.build-id/", build_id.substr(0, 2), "/", build_id.substr(2), ".debug");
}

// A name out of a file's section: it must not lead elsewhere.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos && name != "." && name != "..";
}

class Search {
 public:
  Search(const Module& module, WorkerClient& worker) : module_(module), worker_(worker) {}

  absl::StatusOr<DebugFiles> run() {
    absl::StatusOr<FileDescription> own = worker_.describe(module_.image->descriptor(), /*want_crc=*/false);
    if (!own.ok()) return own.status();
    DebugFiles files;
    FileDescription with_dwarf = *own;
    if (!own->has_dwarf) {
      absl::Status status = find_debug(*own, files, with_dwarf);
      if (!status.ok()) return status;
    }
    files.has_dwarf = with_dwarf.has_dwarf;
    if (!with_dwarf.alternate_link.empty()) {
      absl::Status status = find_alternate(with_dwarf, files);
      if (!status.ok()) return status;
    }
    return files;
  }

 private:
  std::vector<std::string> candidates(const FileDescription& own) const {
    std::vector<std::string> paths;
    if (own.build_id.size() > 2) paths.push_back(build_id_path(own.build_id));
    if (!is_plain_name(own.debug_link)) return paths;
    const std::string folder = folder_of(module_.path);
    paths.push_back(absl::StrCat(folder, "/", own.debug_link));
    paths.push_back(absl::StrCat(folder, "/.debug/", own.debug_link));
    paths.push_back(absl::StrCat(kDebugRoot, folder, "/", own.debug_link));
    return paths;
  }

  // Errors: the worker's; a file that is missing or another one is none.
  template <typename Accept>
  absl::Status find(const std::vector<std::string>& paths, bool want_crc, const Accept& accept) {
    OwnRootOpener own_root;
    for (FileOpener* root : {module_.image->root().get(), static_cast<FileOpener*>(&own_root)}) {
      for (const std::string& path : paths) {
        if (root == nullptr) continue;
        absl::StatusOr<int> opened = root->open(path, 0, 0);
        if (!opened.ok()) continue;
        UniqueFd file(*opened);
        absl::StatusOr<FileDescription> description = worker_.describe(file.get(), want_crc);
        if (!description.ok()) return description.status();
        if (accept(*description, file)) return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

  // Counted; false. What isn't ELF has nothing to tell.
  static bool turned_down(const FileDescription& candidate, DebugFiles& files) {
    const bool mismatched = candidate.has_dwarf;
    ++(mismatched ? files.mismatched : files.unusable);
    return false;
  }

  absl::Status find_debug(const FileDescription& own, DebugFiles& files, FileDescription& found) {
    const bool by_crc = own.build_id.empty();
    return find(candidates(own), by_crc, [&](const FileDescription& candidate, UniqueFd& file) {
      const bool same = by_crc ? candidate.crc == own.debug_link_crc : candidate.build_id == own.build_id;
      if (!same || !candidate.has_dwarf) return turned_down(candidate, files);
      found = candidate;
      files.debug = std::move(file);
      return true;
    });
  }

  absl::Status find_alternate(const FileDescription& debug, DebugFiles& files) {
    std::vector<std::string> paths;
    if (debug.alternate_build_id.size() > 2) paths.push_back(build_id_path(debug.alternate_build_id));
    // dwz writes a path relative to the debug file, or an absolute one.
    if (debug.alternate_link.starts_with('/')) paths.push_back(debug.alternate_link);
    if (debug.alternate_link.starts_with("../") && debug.build_id.size() > 2) {
      paths.push_back(absl::StrCat(folder_of(build_id_path(debug.build_id)), "/", debug.alternate_link));
    }
    paths.push_back(absl::StrCat(folder_of(module_.path), "/", debug.alternate_link));
    return find(paths, /*want_crc=*/false, [&](const FileDescription& candidate, UniqueFd& file) {
      if (candidate.build_id != debug.alternate_build_id) return turned_down(candidate, files);
      files.alternate = std::move(file);
      return true;
    });
  }

  const Module& module_;
  WorkerClient& worker_;
};

}  // namespace

absl::StatusOr<DebugFiles> find_debug_files(const Module& module, WorkerClient& worker) {
  return Search(module, worker).run();
}

absl::StatusOr<int> OwnRootOpener::open(const std::string& path, std::uint64_t, std::uint64_t) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  return fd;
}

}  // namespace siprof::client
