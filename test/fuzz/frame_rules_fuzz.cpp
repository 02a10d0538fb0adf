// SPDX-License-Identifier: Apache-2.0
// Libraries whose unwind tables (.eh_frame, .eh_frame_hdr, .debug_frame) and program headers are
// bent: opcodes, lengths, encodings and pointers set to edge values, bytes flipped, pieces copied
// over others. Whatever the tables say, rules must name real registers, steps must end, and
// nothing may be read beyond the file. Run it with sanitizers or valgrind to see the last of these.
//
//   frame_rules_fuzz [--runs N] [--seed S] FILE…
#include <elf.h>
#include <gelf.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "collector-client/symbolize/elf_image.h"
#include "collector-client/unwind/frame_rules.h"
#include "collector-client/unwind/libunwind_step.h"

namespace siprof::client {
namespace {

constexpr unsigned kPatienceSeconds = 30;  // with some hundred runs, which take milliseconds
constexpr std::uint64_t kBias = 0x7f0000000000;
constexpr std::uint64_t kStackStart = 0x7ffd00000000;
constexpr std::uint32_t kEdges[] = {0,          1,          4,          0x7f,       0x80,       0xff,
                                    0x7fff,     0xffff,     0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
                                    0x3b1b0301, 0x10000000, 0x0c0c0c0c, 0x2f2f2f2f};
// DW_CFA_ and DW_OP_ codes with operands, LEB128's endless ones, pointer encodings.
constexpr std::uint8_t kBytes[] = {0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x0a, 0x0b, 0x0c, 0x0e, 0x0f,
                                   0x10, 0x11, 0x14, 0x16, 0x1b, 0x28, 0x2e, 0x2f, 0x3b, 0x41, 0x7f,
                                   0x80, 0x90, 0x94, 0x96, 0x9b, 0x9d, 0xa6, 0xc3, 0xf1, 0xff};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

struct Range {
  std::size_t start = 0;
  std::size_t bytes = 0;
};

// A library, and where in it tables and headers lie.
struct Seed {
  std::vector<std::byte> bytes;
  std::vector<Range> tables;
  std::vector<std::uint64_t> addresses;  // each with a rule of its own
};

std::vector<Range> find_tables(const ElfImage& image) {
  std::vector<Range> tables = {{sizeof(Elf64_Ehdr), 12 * sizeof(Elf64_Phdr)}};
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) fail("a seed without sections");
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const std::string name = elf_strptr(image.elf(), names, header.sh_name);
    if (name != ".eh_frame" && name != ".eh_frame_hdr" && name != ".debug_frame") continue;
    // Mostly the tables themselves.
    for (int i = 0; i < 8; ++i) tables.push_back({header.sh_offset, header.sh_size});
  }
  return tables;
}

Seed read_seed(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Seed seed;
  seed.bytes.resize(text.size());
  std::memcpy(seed.bytes.data(), text.data(), text.size());
  const auto image = ElfImage::copy(seed.bytes);
  if (!image.ok()) fail("a seed that is no library");
  seed.tables = find_tables(**image);
  Module module;
  module.image = *image;
  FrameRulesCache rules;
  for (const Segment& segment : module.image->segments()) {
    for (std::uint64_t i = 0; segment.executable && i < segment.file_bytes; ++i) {
      if (rules.find({&module, segment.address + i}).kind != FrameRule::Kind::kNone)
        seed.addresses.push_back(segment.address + i);
    }
  }
  if (seed.tables.size() < 2 || seed.addresses.empty()) fail("a seed without unwind tables");
  return seed;
}

class Fuzzer {
 public:
  Fuzzer(std::uint64_t seed, std::vector<Seed> seeds) : random_(seed), seeds_(std::move(seeds)) {
    std::uint64_t word = kStackStart;
    for (std::size_t i = 0; i + sizeof word <= sizeof stack_; i += sizeof word, word += 64)
      std::memcpy(stack_ + i, &word, sizeof word);
  }

  void run_one() {
    const Seed& seed = seeds_[below(seeds_.size())];
    std::vector<std::byte> bytes = seed.bytes;
    for (std::size_t steps = below(6); steps > 0; --steps)
      mutate(bytes, seed.tables[below(seed.tables.size())]);
    const auto image = ElfImage::copy(bytes);
    if (!image.ok()) return;
    Module module;
    module.image = *image;
    FrameRulesCache rules;
    for (int i = 0; i < 4; ++i) look_up(rules, module, seed);
  }

  std::uint64_t plain() const { return plain_; }
  std::uint64_t steps() const { return steps_; }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void look_up(FrameRulesCache& rules, const Module& module, const Seed& seed) {
    std::uint64_t address = seed.addresses[below(seed.addresses.size())];
    if (below(8) == 0) address = random_() >> below(64);
    const FrameRule rule = rules.find({&module, address});
    if (rule.kind == FrameRule::Kind::kPlain) {
      if (rule.cfa_register >= kRegisterCount) fail("a rule of a register that doesn't exist");
      ++plain_;
    }
    // Also where the rules are plain: libunwind reads the same tables in its own way.
    if (rule.kind == FrameRule::Kind::kExpression || below(8) == 0) step(*module.image, address);
  }

  void step(const ElfImage& image, std::uint64_t address) {
    CapturedStack stack;
    stack.bytes = stack_;
    stack.stack_start = kStackStart;
    Registers registers;
    for (std::uint64_t& value : registers) value = kStackStart + below(sizeof stack_);
    registers[kRip] = kBias + address;
    std::uint64_t beyond = 0;
    const StepInput input{.image = &image, .bias = kBias, .lookup_address = kBias + address, .stack = &stack};
    steps_ += step_with_libunwind(input, registers, beyond) == StepResult::kStepped;
  }

  void mutate(std::vector<std::byte>& bytes, Range where) {
    where.start = std::min(where.start, bytes.size() - sizeof(std::uint64_t));
    where.bytes = std::min(where.bytes, bytes.size() - where.start);
    const std::size_t at = where.start + below(where.bytes);
    std::byte* to = bytes.data() + at;
    const std::size_t room = bytes.size() - at;
    switch (below(6)) {
      case 0:
        *to = static_cast<std::byte>(kBytes[below(std::size(kBytes))]);
        break;
      case 1:
        *to ^= static_cast<std::byte>(1u << below(8));
        break;
      case 2:
        *to = static_cast<std::byte>(random_());
        break;
      case 3: {  // aligned: lengths and pointers
        const std::uint32_t edge =
            below(4) == 0 ? static_cast<std::uint32_t>(random_()) : kEdges[below(std::size(kEdges))];
        to -= (at - where.start) % 4;
        std::memcpy(to, &edge, std::min(sizeof edge, room));
        break;
      }
      case 4:
        std::memmove(to, bytes.data() + where.start + below(where.bytes),
                     std::min({below(32), room, where.bytes / 2}));
        break;
      default:
        std::memset(to, kBytes[below(std::size(kBytes))], std::min(below(24), room));
        break;
    }
  }

  std::mt19937_64 random_;
  std::vector<Seed> seeds_;
  alignas(8) std::byte stack_[8192];
  std::uint64_t plain_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace
}  // namespace siprof::client

int main(int argc, char** argv) {
  CLI::App app("Fuzzes the reader of unwind tables.");
  std::uint64_t runs = 1'000'000;
  std::uint64_t seed = 1;
  std::vector<std::string> files;
  app.add_option("--runs", runs, "how many libraries");
  app.add_option("--seed", seed, "where the random numbers start");
  app.add_option("files", files, "libraries to begin with")->required();
  CLI11_PARSE(app, argc, argv);
  std::vector<siprof::client::Seed> seeds;
  for (const std::string& file : files) seeds.push_back(siprof::client::read_seed(file));
  siprof::client::Fuzzer fuzzer(seed, std::move(seeds));
  for (std::uint64_t i = 0; i < runs; ++i) {
    if (i % 256 == 0) alarm(siprof::client::kPatienceSeconds);  // a table that never ends
    fuzzer.run_one();
  }
  std::printf("%llu libraries, %llu plain rules, %llu steps by libunwind\n",
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(fuzzer.plain()),
              static_cast<unsigned long long>(fuzzer.steps()));
  // If hardly anything is understood, only the first check was fuzzed.
  return fuzzer.plain() > runs && fuzzer.steps() > runs / 100 ? 0 : 1;
}
