// SPDX-License-Identifier: Apache-2.0
// Exceptions whose messages are known: of std::exception by one base, by several, by a virtual one, in
// private, not at all; and one whose what() throws exceptions of its own.
#include <stdexcept>
#include <string>
#include <system_error>

#include "test/preload/victims/victim.h"

namespace {

struct Other {
  virtual ~Other() = default;
  long filler = 1;
};
struct Second : Other, std::runtime_error {
  Second() : std::runtime_error("second of two bases") {}
};
struct Virtual : Other, virtual std::exception {
  const char* what() const noexcept override { return "by a virtual base"; }
};
struct Deep : Other, Virtual {
  const char* what() const noexcept override { return "deeper"; }
};
struct Private : private std::exception {
  const char* what() const noexcept override { return "nobody's business"; }
};
struct Own {
  const char* what() const { return "no std::exception"; }
};
struct Nested : std::exception {
  const char* what() const noexcept override {
    try {
      throw std::runtime_error("thrown by what()");
    } catch (const std::exception&) {
      return "nested";
    }
  }
};
struct Null : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

template <typename Exception>
VICTIM_NOINLINE void throw_some(int times, const Exception& exception) {
  for (int i = 0; i < times; ++i) {
    try {
      throw exception;
    } catch (const Exception&) {
    }
  }
}

}  // namespace

int main() {
  victim::burn_ms(100);
  throw_some(1, std::runtime_error("one base"));
  throw_some(2, Second());
  throw_some(3, Virtual());
  throw_some(4, Deep());
  throw_some(5, Private());
  throw_some(6, Own());
  throw_some(7, Nested());
  throw_some(8, Null());
  throw_some(9, std::runtime_error(std::string(1000, 'x')));
  throw_some(10, 11);
  throw_some(11, std::runtime_error("line\nand \xff\x01"));
  puts("thrown");
}
