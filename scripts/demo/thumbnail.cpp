// SPDX-License-Identifier: Apache-2.0
// Each step is a function of its own and stays one, so that a profile names it.
#include "scripts/demo/thumbnail.h"

#include <algorithm>
#include <cmath>

namespace demo {
namespace {

[[gnu::noinline]] Picture shrink_rows(const Picture& picture, std::size_t width) {
  Picture out{width, picture.height, std::vector<float>(width * picture.height)};
  for (std::size_t y = 0; y < picture.height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t from = x * picture.width / width;
      const std::size_t to = std::max(from + 1, (x + 1) * picture.width / width);
      float sum = 0;
      for (std::size_t i = from; i < to; ++i) sum += picture.luma[y * picture.width + i];
      out.luma[y * width + x] = sum / static_cast<float>(to - from);
    }
  }
  return out;
}

[[gnu::noinline]] Picture shrink_columns(const Picture& picture, std::size_t height) {
  Picture out{picture.width, height, std::vector<float>(picture.width * height)};
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t from = y * picture.height / height;
    const std::size_t to = std::max(from + 1, (y + 1) * picture.height / height);
    for (std::size_t x = 0; x < picture.width; ++x) {
      float sum = 0;
      for (std::size_t i = from; i < to; ++i) sum += picture.luma[i * picture.width + x];
      out.luma[y * picture.width + x] = sum / static_cast<float>(to - from);
    }
  }
  return out;
}

[[gnu::noinline]] float neighbourhood_mean(const Picture& picture, std::size_t x, std::size_t y, int radius) {
  float sum = 0;
  int count = 0;
  for (int dy = -radius; dy <= radius; ++dy) {
    for (int dx = -radius; dx <= radius; ++dx) {
      const auto px = static_cast<std::ptrdiff_t>(x) + dx;
      const auto py = static_cast<std::ptrdiff_t>(y) + dy;
      if (px < 0 || py < 0 || px >= static_cast<std::ptrdiff_t>(picture.width) ||
          py >= static_cast<std::ptrdiff_t>(picture.height)) {
        continue;
      }
      sum += picture.luma[static_cast<std::size_t>(py) * picture.width + static_cast<std::size_t>(px)];
      ++count;
    }
  }
  return sum / static_cast<float>(count);
}

}  // namespace

[[gnu::noinline]] Picture draw_test_card(std::size_t width, std::size_t height, std::uint32_t seed) {
  Picture out{width, height, std::vector<float>(width * height)};
  const float phase = static_cast<float>(seed % 360) * 0.0174533F;
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      const float wave =
          std::sin(static_cast<float>(x) * 0.05F + phase) + std::cos(static_cast<float>(y) * 0.07F);
      out.luma[y * width + x] = 0.5F + 0.25F * wave;
    }
  }
  return out;
}

[[gnu::noinline]] Picture scale_down(const Picture& picture, std::size_t width, std::size_t height) {
  return shrink_columns(shrink_rows(picture, width), height);
}

[[gnu::noinline]] void sharpen(Picture& picture, int radius) {
  const Picture before = picture;
  for (std::size_t y = 0; y < picture.height; ++y) {
    for (std::size_t x = 0; x < picture.width; ++x) {
      float& value = picture.luma[y * picture.width + x];
      value = std::clamp(2 * value - neighbourhood_mean(before, x, y, radius), 0.0F, 1.0F);
    }
  }
}

}  // namespace demo
