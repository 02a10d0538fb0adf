// SPDX-License-Identifier: Apache-2.0
// The demo's search part: an inverted index of small documents.
// The indexer thread of service.cpp writes it, the threads of the Python front search it.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

class WordIndex {
 public:
  void add_document(std::uint32_t id, std::string_view text);

  // The documents that hold all words of `query`, ascending; nothing matches an empty query.
  std::vector<std::uint32_t> search(std::string_view query) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::uint32_t>> documents_by_word_;  // ids sorted, without repeats
};

// Words in lower case; everything that isn't a letter separates.
std::vector<std::string> split_words(std::string_view text);

}  // namespace demo
