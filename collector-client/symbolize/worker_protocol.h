// SPDX-License-Identifier: Apache-2.0
// What the agent asks its symbol worker, and what it is told. Each message is a 64-bit length
// and that many bytes; a request's first byte carries its descriptors (SCM_RIGHTS).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector-client/symbolize/source_frame.h"

namespace siprof::client {

inline constexpr std::uint64_t kMaxMessageBytes = 64u << 20;
inline constexpr std::size_t kMaxNameBytes = 1024;
inline constexpr std::size_t kMaxInlinedFrames = 128;

enum class WorkerTask : std::uint64_t { kDescribe = 1, kSymbolize = 2 };

struct WorkerRequest {
  WorkerTask task = WorkerTask::kDescribe;
  bool want_crc = false;  // kDescribe: read the whole file for .gnu_debuglink's checksum
  bool use_dwarf = true;  // kSymbolize: not only symbol tables
  // kSymbolize: the same key means the same files as before. Descriptors: the file, then
  // its debug file, then that one's alternate file. The file may be missing: it is the vDSO.
  std::string key;
  bool has_file = false;
  bool has_debug = false;
  bool has_alternate = false;
  std::vector<std::uint64_t> addresses;
};

// What a file says about itself and its companions.
struct FileDescription {
  std::string build_id;
  std::string debug_link;  // file name, empty without
  std::uint32_t debug_link_crc = 0;
  std::string alternate_link;  // path of the file that dwz shares, empty without
  std::string alternate_build_id;
  bool has_dwarf = false;
  std::uint32_t crc = 0;  // if it was asked for

  friend bool operator==(const FileDescription&, const FileDescription&) = default;
};

// One per address of the request, in its order; innermost function first, empty: unknown.
using NamedFrames = std::vector<std::vector<SourceFrame>>;

std::string encode(const WorkerRequest& request);
std::string encode(const FileDescription& description);
std::string encode(const NamedFrames& frames);
std::optional<WorkerRequest> decode_request(std::string_view bytes);
std::optional<FileDescription> decode_description(std::string_view bytes);
std::optional<NamedFrames> decode_frames(std::string_view bytes);

}  // namespace siprof::client
