// SPDX-License-Identifier: Apache-2.0
// Attach messages, bent: lengths, versions, descriptor bits, texts without their end,
// bytes cut off or added. What is taken must be what came: texts from within the
// message, each descriptor once, none left open.
//
//   attach_fuzz [--runs N] [--seed S]
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <set>

#include "collector-client/attach/attach_request.h"
#include "test/unit/collector-client/attach/attach_message.h"

namespace siprof::client {
namespace {

constexpr std::uint32_t kAllDescriptors = kMemoryFd | kPidFd | kProcFd | kRootFd | kMapsFd;
constexpr std::uint32_t kEdges[] = {0, 1, 7, 9, 30, 80, 0x7fffffff, 0x80000000, 0xfffffff7, 0xffffffff};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

class Fuzzer {
 public:
  explicit Fuzzer(std::uint64_t seed) : random_(seed), null_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

  void run_one() {
    const auto descriptors = below(4) == 0 ? static_cast<std::uint32_t>(random_()) : kAllDescriptors;
    // Few descriptors in most runs: they are what takes the time.
    const std::size_t given = below(16) == 0 ? below(8) : 1;
    RawMessage raw =
        raw_message(attach_header(below(3) == 0 ? descriptors : kMemoryFd), some_fds(given), texts());
    for (std::size_t steps = below(5); steps > 0; --steps) mutate(raw);
    const std::size_t bytes = raw.bytes.size();
    const absl::StatusOr<AttachRequest> request = parse_attach(std::move(raw));
    if (!request.ok()) {
      if (!absl::IsInvalidArgument(request.status())) fail("refused for another reason than its bytes");
      return;
    }
    ++taken_;
    check(*request, bytes);
  }

  std::uint64_t taken() const { return taken_; }
  // The number of the next descriptor: higher than at the start if one is left open.
  int next_fd() const { return UniqueFd(fcntl(null_.get(), F_DUPFD_CLOEXEC, 3)).get(); }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  std::vector<UniqueFd> some_fds(std::size_t count) {
    std::vector<UniqueFd> fds;
    for (std::size_t i = 0; i < count; ++i) fds.emplace_back(fcntl(null_.get(), F_DUPFD_CLOEXEC, 3));
    return fds;
  }

  MessageTexts texts() {
    static constexpr std::string_view kTexts[] = {{"", 0},       {"\0", 1},       {"\0\0\0", 3},
                                                  {"=\0", 2},    {"A\0", 2},      {"A=\0=B\0", 6},
                                                  {"no end", 6}, {"a\0no end", 8}};
    MessageTexts texts;
    if (below(2) == 0) texts.executable = kTexts[below(std::size(kTexts))];
    if (below(2) == 0) texts.arguments = kTexts[below(std::size(kTexts))];
    if (below(2) == 0) texts.environment = kTexts[below(std::size(kTexts))];
    return texts;
  }

  void mutate(RawMessage& raw) {
    if (raw.bytes.empty()) return;
    const std::size_t at = below(raw.bytes.size());
    switch (below(6)) {
      case 0:
        set_word(raw, offsetof(AttachMessage, exe_bytes) + 4 * below(4), kEdges[below(std::size(kEdges))]);
        break;
      case 1:  // bytes go from one text to another
        move_length(raw, 4 * below(4), 4 * below(4), static_cast<std::uint32_t>(below(12)));
        break;
      case 2:
        set_word(raw, 4 * below(sizeof(AttachMessage) / 4), static_cast<std::uint32_t>(random_()));
        break;
      case 3:
        raw.bytes.resize(at);
        break;
      case 4:
        raw.bytes.insert(raw.bytes.begin() + static_cast<std::ptrdiff_t>(at), below(40),
                         static_cast<std::byte>(random_()));
        break;
      default:
        raw.bytes[at] ^= static_cast<std::byte>(1u << below(8));
        break;
    }
  }
  static void set_word(RawMessage& raw, std::size_t offset, std::uint32_t value) {
    if (offset + sizeof(value) <= raw.bytes.size()) memcpy(raw.bytes.data() + offset, &value, sizeof(value));
  }
  static void move_length(RawMessage& raw, std::size_t from, std::size_t to, std::uint32_t by) {
    if (raw.bytes.size() < sizeof(AttachMessage)) return;
    std::byte* lengths = raw.bytes.data() + offsetof(AttachMessage, exe_bytes);
    std::uint32_t value = 0;
    memcpy(&value, lengths + from, sizeof(value));
    value -= by;
    memcpy(lengths + from, &value, sizeof(value));
    memcpy(&value, lengths + to, sizeof(value));
    value += by;
    memcpy(lengths + to, &value, sizeof(value));
  }

  static void check(const AttachRequest& request, std::size_t bytes) {
    std::size_t text = request.executable.size() + request.first_maps.size();
    for (const std::string& argument : request.arguments) text += argument.size() + 1;
    for (const auto& [name, value] : request.environment) text += name.size() + value.size();
    if (text > bytes - sizeof(AttachMessage)) fail("more text than came");
    if (!request.memory) fail("taken without memory");
    std::set<int> fds;
    for (const UniqueFd* fd : {&request.memory, &request.pid, &request.proc, &request.root, &request.maps}) {
      if (*fd && !fds.insert(fd->get()).second) fail("a descriptor twice");
    }
  }

  std::mt19937_64 random_;
  UniqueFd null_;
  std::uint64_t taken_ = 0;
};

}  // namespace
}  // namespace siprof::client

int main(int argc, char** argv) {
  CLI::App app("Fuzzes the message that processes attach with.");
  std::uint64_t runs = 1'000'000;
  std::uint64_t seed = 1;
  app.add_option("--runs", runs, "how many messages");
  app.add_option("--seed", seed, "where the random numbers start");
  CLI11_PARSE(app, argc, argv);
  siprof::client::Fuzzer fuzzer(seed);
  const int next_fd = fuzzer.next_fd();
  for (std::uint64_t i = 0; i < runs; ++i) fuzzer.run_one();
  std::printf("%llu messages, %llu taken\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(fuzzer.taken()));
  if (fuzzer.next_fd() != next_fd) {
    std::fprintf(stderr, "descriptors are left open\n");
    return 1;
  }
  return fuzzer.taken() > runs / 10 ? 0 : 1;
}
