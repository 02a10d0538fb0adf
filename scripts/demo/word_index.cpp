// SPDX-License-Identifier: Apache-2.0
// A plain map and one mutex: contention between indexer and searches is wanted here.
#include "scripts/demo/word_index.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace demo {

[[gnu::noinline]] std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

[[gnu::noinline]] void WordIndex::add_document(std::uint32_t id, std::string_view text) {
  const std::vector<std::string> words = split_words(text);
  const std::scoped_lock lock(mutex_);
  for (const std::string& word : words) {
    std::vector<std::uint32_t>& ids = documents_by_word_[word];
    const auto place = std::lower_bound(ids.begin(), ids.end(), id);
    if (place == ids.end() || *place != id) ids.insert(place, id);
  }
}

[[gnu::noinline]] std::vector<std::uint32_t> WordIndex::search(std::string_view query) const {
  const std::vector<std::string> words = split_words(query);
  const std::scoped_lock lock(mutex_);
  std::vector<std::uint32_t> matches;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto found = documents_by_word_.find(words[i]);
    if (found == documents_by_word_.end()) return {};
    if (i == 0) {
      matches = found->second;
      continue;
    }
    std::vector<std::uint32_t> both;
    std::set_intersection(matches.begin(), matches.end(), found->second.begin(), found->second.end(),
                          std::back_inserter(both));
    matches = std::move(both);
  }
  return matches;
}

}  // namespace demo
