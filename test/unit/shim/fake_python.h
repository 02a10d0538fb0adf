// SPDX-License-Identifier: Apache-2.0
// An interpreter's structures of any version, made up in memory that ends at a page which can't be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/siprof/python.h"

namespace siprof::shim {

// Of 3.8, 3.10, 3.11, 3.12 and 3.13: each way to have frames, as the interpreters' debug information has it.
const std::vector<PythonLayout>& fake_layouts();

struct FakeFrame {
  std::uint64_t code = 0;  // 0: a frame of no code
  std::uint32_t instruction = 0;
  bool entry = false;  // of 3.11
  bool shim = false;   // 3.12 and later
};

class FakePython {
 public:
  static constexpr std::size_t kBytes = 1 << 20;

  explicit FakePython(const PythonLayout& layout);
  ~FakePython();
  FakePython(const FakePython&) = delete;
  FakePython& operator=(const FakePython&) = delete;

  const PythonLayout& layout() const { return layout_; }
  std::uint64_t code_type() const { return code_type_; }
  // As bytes that can be changed, with kBytes.
  std::byte* memory() const { return memory_; }
  std::size_t used() const { return used_; }
  std::uint64_t end() const { return reinterpret_cast<std::uint64_t>(memory_) + kBytes; }

  std::uint64_t text(const std::u32string& characters);
  std::uint64_t derived_text(const std::u32string& characters);  // of a type derived from str
  std::uint64_t bytes(const std::string& content);
  std::uint64_t code(const std::u32string& name, const std::u32string& file, std::uint32_t first_line,
                     const std::string& line_table);
  // Of the running thread, with these frames, innermost first.
  std::uint64_t thread_state(const std::vector<FakeFrame>& frames);

  std::uint64_t take(std::size_t bytes);
  template <typename Value>
  static void put(std::uint64_t address, Value value) {
    __builtin_memcpy(reinterpret_cast<void*>(address), &value, sizeof(value));
  }

 private:
  std::uint64_t type(std::uint64_t flags);
  void describe_code_type();
  std::uint64_t make_text(const std::u32string& characters, bool compact);
  std::uint64_t frame_of(const FakeFrame& frame);

  PythonLayout layout_;
  std::byte* memory_;
  std::size_t used_ = 0;
  std::uint64_t text_type_ = 0;
  std::uint64_t bytes_type_ = 0;
  std::uint64_t code_type_ = 0;
};

// While one lives, unreadable addresses are stepped over in this process, whoever had the signals before.
class GuardHere {
 public:
  GuardHere();
  ~GuardHere();
  GuardHere(const GuardHere&) = delete;
  GuardHere& operator=(const GuardHere&) = delete;
};

}  // namespace siprof::shim
