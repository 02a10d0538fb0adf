// SPDX-License-Identifier: Apache-2.0
// See jit_symbols.h.
#include "collector-client/symbolize/jit_symbols.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

constexpr int kIdleTrims = 6;             // a minute of ten-second windows
constexpr off_t kMaxMapBytes = 64 << 20;  // the newest code is at the end

std::string read_tail(int fd, off_t size) {
  std::string text(static_cast<std::size_t>(std::min(size, kMaxMapBytes)), '\0');
  const off_t start = size - static_cast<off_t>(text.size());
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t count = pread(fd, text.data() + have, text.size() - have, start + static_cast<off_t>(have));
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  text.resize(have);
  return text;
}

bool take_hex(std::string_view& line, std::uint64_t& value) {
  if (line.starts_with("0x")) line.remove_prefix(2);
  const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), value, 16);
  if (error != std::errc{} || rest == line.data() + line.size() || *rest != ' ') return false;
  line.remove_prefix(static_cast<std::size_t>(rest - line.data()) + 1);
  return true;
}

}  // namespace

const Module* JitSymbols::add(int pid, std::shared_ptr<FileOpener> root) {
  for (auto& [module, process] : processes_) {
    if (process.pid != pid || process.root != root) continue;
    ++process.users;
    process.idle_trims = 0;
    return module;
  }
  Process process;
  process.module = std::make_unique<Module>();
  process.module->path = "[anon]";
  process.pid = pid;
  process.root = std::move(root);
  process.users = 1;
  const Module* key = process.module.get();
  processes_[key] = std::move(process);
  return key;
}

void JitSymbols::release(const Module* module) {
  const auto found = processes_.find(module);
  if (found != processes_.end()) --found->second.users;
}

void JitSymbols::trim() {
  absl::erase_if(processes_, [](auto& entry) {
    Process& process = entry.second;
    return process.users <= 0 && ++process.idle_trims > kIdleTrims;
  });
}

void JitSymbols::refresh(const Module* module) {
  const auto found = processes_.find(module);
  if (found == processes_.end() || found->second.root == nullptr) return;
  Process& process = found->second;
  absl::StatusOr<int> opened = process.root->open(absl::StrCat("/tmp/perf-", process.pid, ".map"), 0, 0);
  if (!opened.ok()) return;  // nearly no process has one
  const UniqueFd file(*opened);
  struct stat status;
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const std::string version = absl::StrCat(status.st_ino, ":", status.st_size, ":", status.st_mtim.tv_sec,
                                           ".", status.st_mtim.tv_nsec);
  if (version == process.version) return;
  process.version = version;
  process.symbols = parse(read_tail(file.get(), status.st_size));
}

std::vector<JitSymbols::Symbol> JitSymbols::parse(std::string_view text) {
  std::vector<Symbol> symbols;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::uint64_t start = 0;
    std::uint64_t size = 0;
    if (!take_hex(line, start) || !take_hex(line, size) || size == 0 || line.empty()) continue;
    symbols.push_back({start, start + size, std::string(line.substr(0, kMaxNameBytes))});
  }
  // Code that was thrown away and its place used again: the later line counts.
  std::reverse(symbols.begin(), symbols.end());
  std::stable_sort(symbols.begin(), symbols.end(),
                   [](const Symbol& a, const Symbol& b) { return a.start < b.start; });
  symbols.erase(std::unique(symbols.begin(), symbols.end(),
                            [](const Symbol& a, const Symbol& b) { return a.start == b.start; }),
                symbols.end());
  return symbols;
}

std::string_view JitSymbols::find(const Module* module, std::uint64_t address) const {
  const auto found = processes_.find(module);
  if (found == processes_.end()) return {};
  const std::vector<Symbol>& symbols = found->second.symbols;
  auto after =
      std::upper_bound(symbols.begin(), symbols.end(), address,
                       [](std::uint64_t value, const Symbol& symbol) { return value < symbol.start; });
  if (after == symbols.begin() || address >= std::prev(after)->end) return {};
  return std::prev(after)->name;
}

}  // namespace siprof::client
