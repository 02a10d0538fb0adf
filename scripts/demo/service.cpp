// SPDX-License-Identifier: Apache-2.0
// The C++ part of the demo, as the library that scripts/demo/demo.py loads.
// One thread of its own, "indexer", adds documents while the front's threads call in.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "scripts/demo/thumbnail.h"
#include "scripts/demo/word_index.h"

namespace demo {
namespace {

constexpr const char* kWords[] = {"river", "mountain", "engine", "signal", "profile", "window",  "garden",
                                  "stack", "thread",   "memory", "paper",  "market",  "history", "letter"};
constexpr std::uint32_t kDocuments = 4000;  // ids are used again, so the index stops growing

WordIndex& index() {
  static WordIndex words;
  return words;
}

std::atomic<bool> g_stop{false};
std::thread g_indexer;

[[gnu::noinline]] std::string write_document(std::mt19937& random) {
  std::string text;
  for (int i = 0; i < 120; ++i) {
    text += kWords[random() % std::size(kWords)];
    text += static_cast<char>('a' + random() % 26);
    text += ' ';
    text += kWords[random() % std::size(kWords)];
    text += ' ';
  }
  return text;
}

void index_documents() {
  pthread_setname_np(pthread_self(), "indexer");
  std::mt19937 random(1);
  for (std::uint32_t id = 0; !g_stop.load(); id = (id + 1) % kDocuments) {
    index().add_document(id, write_document(random));
    if (id % 8 == 7) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

constexpr std::size_t kRanked = 60;

// The match that the front likes best; 0 where there is none.
[[gnu::noinline]] std::uint32_t best_match(const std::vector<std::uint32_t>& matches,
                                           double (*score)(std::uint32_t)) {
  std::uint32_t best = 0;
  double best_score = 0;
  for (std::size_t i = 0; i < std::min(matches.size(), kRanked); ++i) {
    const double its_score = score(matches[i]);
    if (its_score > best_score) {
      best_score = its_score;
      best = matches[i];
    }
  }
  return best;
}

}  // namespace
}  // namespace demo

// What demo.py calls through ctypes, with the interpreter's lock released.
extern "C" {

[[gnu::visibility("default")]] void demo_start() {
  demo::g_stop = false;
  demo::g_indexer = std::thread(demo::index_documents);
}

[[gnu::visibility("default")]] void demo_stop() {
  demo::g_stop = true;
  if (demo::g_indexer.joinable()) demo::g_indexer.join();
}

// `score` is a function of Python's: the library calls back into the front.
[[gnu::visibility("default")]] std::uint32_t demo_search(const char* query, double (*score)(std::uint32_t)) {
  return demo::best_match(demo::index().search(query), score);
}

// The mean brightness of the thumbnail, in thousandths.
[[gnu::visibility("default")]] std::uint32_t demo_thumbnail(std::uint32_t size, std::uint32_t seed) {
  demo::Picture picture = demo::scale_down(demo::draw_test_card(480, 360, seed), size, size);
  demo::sharpen(picture, 3);
  float sum = 0;
  for (const float value : picture.luma) sum += value;
  return static_cast<std::uint32_t>(1000 * sum / static_cast<float>(picture.luma.size()));
}
}
