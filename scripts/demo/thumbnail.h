// SPDX-License-Identifier: Apache-2.0
// The demo's picture part: draws a test card and scales it down.
// Called by service.cpp on the threads of the Python front.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace demo {

struct Picture {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<float> luma;  // row by row, 0 to 1
};

Picture draw_test_card(std::size_t width, std::size_t height, std::uint32_t seed);

// A box filter in two passes; `width` and `height` are at least 1 and at most the picture's.
Picture scale_down(const Picture& picture, std::size_t width, std::size_t height);

// Multiplies each value by the mean of its neighbourhood: the demo's slow spot.
void sharpen(Picture& picture, int radius);

}  // namespace demo
