// SPDX-License-Identifier: Apache-2.0
// Thrown through frames with destructors, caught, thrown again; inlining, virtual calls, lambdas, containers.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

volatile long g_sink;

struct Guard {
  explicit Guard(long n) : kept(n) {}
  ~Guard() { g_sink = g_sink + kept; }
  long kept;
};

struct Shape {
  virtual ~Shape() = default;
  virtual long area(long n) const = 0;
};
struct Square : Shape {
  long area(long n) const override { return n * n; }
};
struct Thrower : Shape {
  long area(long n) const override {
    const Guard guard(n);
    if (n % 3 == 0) throw std::runtime_error("area of " + std::to_string(n));
    return n;
  }
};

__attribute__((noinline)) long through(const Shape& shape, long n, int depth) {
  const Guard guard(depth);
  const std::string name(static_cast<std::size_t>(depth) * 7, 'x');
  return depth == 0 ? shape.area(n) : through(shape, n, depth - 1) + static_cast<long>(name.size());
}

__attribute__((noinline)) long catch_and_rethrow(const Shape& shape, long n) {
  try {
    return through(shape, n, 5);
  } catch (const std::runtime_error& error) {
    g_sink = g_sink + static_cast<long>(std::string(error.what()).size());
    throw;
  }
}

__attribute__((noinline)) long sorted(long n) {
  std::vector<std::string> words;
  for (long i = 0; i < 24; ++i) words.push_back(std::to_string((n * 31 + i * 17) % 97));
  std::sort(words.begin(), words.end(),
            [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; });
  std::map<std::string, long> counts;
  for (const std::string& word : words) ++counts[word];
  const std::function<long(long)> add = [&](long base) { return base + static_cast<long>(counts.size()); };
  return add(n);
}

}  // namespace

int main() {
  const std::unique_ptr<Shape> shapes[] = {std::make_unique<Square>(), std::make_unique<Thrower>()};
  for (long n = 1;; ++n) {
    try {
      g_sink = g_sink + catch_and_rethrow(*shapes[n % 2], n) + sorted(n);
    } catch (const std::exception&) {
      g_sink = g_sink + 1;
    }
  }
}
