// SPDX-License-Identifier: Apache-2.0
// See symbol_cache.h. A file's content: addresses, frames as in worker_protocol.h.
#include "collector-client/symbolize/symbol_cache.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "collector-client/symbolize/wire.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

std::optional<SymbolCache::Entries> decode(std::string_view bytes) {
  WireReader in(bytes);
  std::vector<std::uint64_t> addresses(in.count());
  for (std::uint64_t& address : addresses) address = in.number();
  std::optional<NamedFrames> frames = decode_frames(in.text());
  if (!in.at_end() || !frames || frames->size() != addresses.size()) return std::nullopt;
  SymbolCache::Entries entries;
  for (std::size_t i = 0; i < addresses.size(); ++i) entries[addresses[i]] = std::move((*frames)[i]);
  return entries;
}

std::string encode(const SymbolCache::Entries& entries) {
  WireWriter out;
  NamedFrames frames;
  out.number(entries.size());
  for (const auto& [address, names] : entries) {
    out.number(address);
    frames.push_back(names);
  }
  out.text(encode(frames));
  return out.bytes();
}

}  // namespace

SymbolCache::Entries SymbolCache::load(const std::string& key) {
  const std::optional<std::string> content = files_.load(key);
  std::optional<Entries> entries = content ? decode(*content) : std::nullopt;
  return entries ? *std::move(entries) : Entries();
}

absl::Status SymbolCache::store(const std::string& key, const Entries& entries) {
  return files_.store(key, encode(entries));
}

}  // namespace siprof::client
