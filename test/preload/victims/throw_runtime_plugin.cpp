// SPDX-License-Identifier: Apache-2.0
// A plugin of throw_runtimes.c: compiled several times, against the shared C++ runtime and with one of its
// own.
#include <exception>
#include <stdexcept>

extern "C" {
struct Caught {
  int caught;
  int in_flight;
};

__attribute__((noinline)) static void throw_one() {
  throw std::runtime_error("from a plugin");
}

__attribute__((visibility("default"))) Caught throw_some() {
  Caught result{0, 0};
  for (int i = 0; i < 10; ++i) {
    try {
      throw_one();
    } catch (const std::runtime_error&) {
      ++result.caught;
      result.in_flight += std::uncaught_exceptions();
    }
  }
  result.in_flight += std::uncaught_exceptions();
  return result;
}
}
