// SPDX-License-Identifier: Apache-2.0
// See python_module.h.
#include "collector-client/python/python_module.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/presentable.h"
#include "collector-client/base/text.h"
#include "collector-client/python/layouts.h"
#include "collector-client/symbolize/dynamic_symbols.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMostTextBytes = 64u << 20;  // of a segment, that are searched for the version
constexpr unsigned kFirstWithVersionSymbol = 11;   // Py_Version
constexpr unsigned kFirstWithOffsets = 13;         // _Py_DebugOffsets

// PY_VERSION_HEX
struct VersionNumber {
  std::uint32_t hex = 0;

  unsigned major() const { return hex >> 24; }
  unsigned minor() const { return hex >> 16 & 0xff; }
  unsigned level() const { return hex >> 4 & 0xf; }
  // Before the first release candidate layouts still change.
  bool is_early() const { return level() != 0xc && level() != 0xf; }
  std::string text() const {
    std::string text = absl::StrCat(major(), ".", minor(), ".", hex >> 8 & 0xff);
    if (level() != 0xf) absl::StrAppend(&text, level() == 0xa ? "a" : level() == 0xb ? "b" : "rc", hex & 0xf);
    return text;
  }
};

std::optional<std::uint64_t> number_at(const ElfImage& image, std::uint64_t address) {
  const auto bytes = image.at(address);
  std::uint64_t value = 0;
  if (bytes.size() < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

bool is_digit(char c) {
  return absl::ascii_isdigit(static_cast<unsigned char>(c));
}

// The minor version that "libpython3.9.so.1.0" or "python3.9" names; nullopt: none.
std::optional<unsigned> minor_in(std::string_view name) {
  constexpr std::string_view kBefore = "python3.";
  const std::size_t at = name.find(kBefore);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view digits = name.substr(at + kBefore.size());
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  std::uint32_t minor = 0;
  if (digits.size() > 2 || !absl::SimpleAtoi(to_absl(digits), &minor)) return std::nullopt;
  return minor;
}

// The length of "3.9.18", "3.10.0rc1" or "3.9.2+" at the beginning of a text that ends there; 0: it isn't
// one.
std::size_t version_length(std::string_view text, unsigned minor) {
  const std::string before = absl::StrCat("3.", minor, ".");
  if (!text.starts_with(before)) return 0;
  std::size_t at = before.size();
  while (at < text.size() && is_digit(text[at])) ++at;
  if (at == before.size() || at > before.size() + 2) return 0;
  if (text.substr(at).starts_with("rc")) at += 2;
  while (at < text.size() && is_digit(text[at])) ++at;
  const std::size_t length = at;
  if (at < text.size() && text[at] == '+') ++at;
  return at < text.size() && text[at] == '\0' ? length : 0;
}

// PY_VERSION, which stands as a text among the constants: of its own, or as the end of another, since linkers
// put texts that end alike into one place. Empty: none, or different ones.
std::string version_text(const ElfImage& image, unsigned minor) {
  const std::string wanted = absl::StrCat("3.", minor, ".");
  std::set<std::string_view> alone, tails;
  for (const Segment& segment : image.segments()) {
    if (segment.writable) continue;
    const auto bytes = image.at(segment.address);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                                std::min(bytes.size(), kMostTextBytes));
    for (std::size_t at = 0; (at = text.find(wanted, at)) != std::string_view::npos; ++at) {
      const std::string_view candidate = text.substr(at, version_length(text.substr(at, 16), minor));
      if (candidate.empty()) continue;
      const char before = at == 0 ? '\0' : text[at - 1];
      if (before == '\0')
        alone.insert(candidate);
      else if (!is_digit(before) && before != '.')
        tails.insert(candidate);
    }
  }
  const std::set<std::string_view>& found = alone.empty() ? tails : alone;
  return found.size() == 1 ? std::string(*found.begin()) : "";
}

class Look {
 public:
  Look(const Module& module, PythonModule* out)
      : image_(*module.image), path_(module.path), symbols_(image_), out_(*out) {}

  bool is_interpreter() const {
    return symbols_.find("_PyRuntime") && symbols_.find("_PyEval_EvalFrameDefault");
  }

  // Fills all in, or says what the trouble is.
  void look() {
    const std::optional<unsigned> minor = find_version();
    if (!out_.trouble.empty()) return;
    if (!minor) return fail("its version can't be found out");
    out_.layout = find_layout(python_version(3, *minor));
    if (out_.layout == nullptr) return fail(absl::StrCat("this siprof doesn't know version ", out_.version));
    if (*minor >= kFirstWithOffsets && !check_offsets()) return;
    find_addresses();
    if (!out_.trouble.empty()) return;
    const auto evaluation = symbols_.find("_PyEval_EvalFrameDefault");
    out_.evaluation =
        parts_of_function(image_, {evaluation->address, evaluation->address + evaluation->bytes});
    std::vector<std::uint64_t> slots;
    // Nothing else in the interpreter waits on a condition.
    for (const char* name : {"pthread_cond_timedwait", "pthread_cond_wait", "pthread_cond_clockwait"})
      for (const std::uint64_t slot : symbols_.slots_of(name)) slots.push_back(slot);
    out_.gil_waits = calls_through(image_, slots);
  }

 private:
  void fail(std::string why) {
    out_.trouble = std::move(why);
    out_.layout = nullptr;
  }

  // The minor version.
  std::optional<unsigned> find_version() {
    if (const auto symbol = symbols_.find("Py_Version")) {
      const auto value = number_at(image_, symbol->address);
      const VersionNumber number{static_cast<std::uint32_t>(value.value_or(0))};
      if (number.major() != 3 || number.minor() < kFirstWithVersionSymbol) return std::nullopt;
      out_.version = number.text();
      if (number.is_early()) fail(absl::StrCat("version ", out_.version, " isn't a released one"));
      return number.minor();
    }
    return find_old_version();
  }

  // Before 3.11 only texts tell.
  std::optional<unsigned> find_old_version() {
    std::optional<unsigned> minor = minor_in(symbols_.soname());
    if (!minor) minor = minor_in(path_.substr(path_.rfind('/') + 1));
    if (minor) {
      out_.version = version_text(image_, *minor);
      if (out_.version.empty()) out_.version = absl::StrCat("3.", *minor);
      return minor;
    }
    for (unsigned candidate = 0; candidate < kFirstWithVersionSymbol; ++candidate) {
      const std::string text = version_text(image_, candidate);
      if (text.empty()) continue;
      if (minor) return std::nullopt;
      minor = candidate;
      out_.version = text;
    }
    return minor;
  }

  // _Py_DebugOffsets: a cookie, the version, and whether it is a build without GIL, whose objects are larger.
  bool check_offsets() {
    const std::uint64_t runtime = symbols_.find("_PyRuntime")->address;
    const auto bytes = image_.at(runtime);
    constexpr std::string_view kCookie = "xdebugpy";
    if (bytes.size() < 24 || std::memcmp(bytes.data(), kCookie.data(), kCookie.size()) != 0) {
      fail("it doesn't describe itself as this version does");
    } else if (number_at(image_, runtime + 16).value_or(1) != 0) {
      fail("it is a free-threaded build");
    }
    return out_.trouble.empty();
  }

  std::uint64_t address_of(std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (const auto symbol = symbols_.find(name)) return symbol->address;
    fail(absl::StrCat("it doesn't export ", *names.begin()));
    return 0;
  }

  void find_addresses() {
    const bool says_itself = out_.layout->status != kNoOffset;
    out_.this_thread_state = address_of({"PyGILState_GetThisThreadState"});
    out_.is_finalizing = address_of({"_Py_IsFinalizing", "Py_IsFinalizing"});
    out_.code_type = address_of({"PyCode_Type"});
    if (out_.trouble.empty() && !says_itself)
      out_.current_state = address_of({"_PyThreadState_UncheckedGet"});
  }

  const ElfImage& image_;
  const std::string& path_;
  DynamicSymbols symbols_;
  PythonModule& out_;
};

}  // namespace

std::unique_ptr<const PythonModule> find_python(const Module& module) {
  if (module.image == nullptr) return nullptr;
  auto python = std::make_unique<PythonModule>();
  Look look(module, python.get());
  if (!look.is_interpreter()) return nullptr;
  look.look();
  return python;
}

const PythonModule* PythonModules::of(const Module* module) {
  if (module == nullptr || module->image == nullptr) return nullptr;
  const auto [known, is_new] = known_.try_emplace(module);
  if (!is_new) return known->second.get();
  known->second = find_python(*module);
  const PythonModule* python = known->second.get();
  if (python != nullptr && !python->trouble.empty())
    spdlog::warn("no Python frames of programs that use {}: {}", presentable(module->path), python->trouble);
  return python;
}

void PythonModules::forget(const absl::flat_hash_set<const Module*>& modules) {
  absl::erase_if(known_, [&](const auto& known) { return modules.contains(known.first); });
}

}  // namespace siprof::client
