// SPDX-License-Identifier: Apache-2.0
#include "shim/core/config.h"

#include <elf.h>
#include <sys/auxv.h>
#include <time.h>

#include "proto/siprof/shared_memory.h"
#include "shim/base/sys.h"
#include "shim/base/text.h"

namespace siprof::shim {

constinit Config g_config{};

namespace {

// What the agent needs to know of a process, or to run itself. The whole
// environment is not taken: it may hold secrets and be large.
constexpr const char* kTaken[] = {
    "SIPROF_", "OTEL_", "DD_SERVICE=", "DD_VERSION=",    "DD_ENV=",       "XDG_STATE_HOME=",
    "HOME=",   "PATH=", "TZ=",         "SSL_CERT_FILE=", "SSL_CERT_DIR=", "XDG_RUNTIME_DIR="};

// Processes that differ in one of these need different agents.
constexpr const char* kAgentOptions[] = {"SIPROF_COLLECTOR=",     "SIPROF_TOKEN",
                                         "SIPROF_OUTPUT=",        "SIPROF_SPOOL",
                                         "SIPROF_WINDOW=",        "SIPROF_TLS_",
                                         "SIPROF_LOG=",           "SIPROF_BUDGET=",
                                         "SIPROF_NATIVE_FRAMES=", "OTEL_EXPORTER_OTLP_ENDPOINT="};

// The first letters of kTaken: most variables are none of ours.
constexpr std::uint64_t first_letters() {
  std::uint64_t letters = 0;
  for (const char* prefix : kTaken) letters |= std::uint64_t{1} << (prefix[0] & 63);
  return letters;
}

// Values of the variables that the shim itself obeys, as they stand in the environment:
// the copy may have no room for them. Null: not set. The first of several counts.
struct Obeyed {
  char* disabled = nullptr;
  char* sdk_disabled = nullptr;
  char* follow = nullptr;
  char* hz = nullptr;
  char* kinds = nullptr;
  char* heap_interval = nullptr;
  char* block_interval = nullptr;
  char* agent_socket = nullptr;
  bool under_valgrind = false;
};

template <std::size_t N>
bool starts_with_any(const char* s, const char* const (&prefixes)[N]) {
  for (const char* prefix : prefixes) {
    if (starts_with(s, prefix)) return true;
  }
  return false;
}

std::uint64_t fnv1a(std::uint64_t hash, const char* s) {
  for (; *s != '\0'; ++s) hash = (hash ^ static_cast<unsigned char>(*s)) * 0x100000001b3;
  return (hash ^ 0xff) * 0x100000001b3;
}

// An empty variable counts as not set.
void keep_if(char*& value, char* entry, const char* name) {
  if (value != nullptr || !starts_with(entry, name)) return;
  char* const text = entry + length(name);
  if (*text != '\0') value = text;
}

void note_obeyed(char* entry, Obeyed& obeyed) {
  keep_if(obeyed.disabled, entry, "SIPROF_DISABLED=");
  keep_if(obeyed.sdk_disabled, entry, "OTEL_SDK_DISABLED=");
  keep_if(obeyed.follow, entry, "SIPROF_FOLLOW=");
  keep_if(obeyed.hz, entry, "SIPROF_HZ=");
  keep_if(obeyed.kinds, entry, "SIPROF_KINDS=");
  keep_if(obeyed.heap_interval, entry, "SIPROF_HEAP_INTERVAL=");
  keep_if(obeyed.block_interval, entry, "SIPROF_BLOCK_INTERVAL=");
  keep_if(obeyed.agent_socket, entry, "SIPROF_AGENT_SOCKET=");
}

void copy_entry(const char* entry) {
  const std::size_t bytes = length(entry) + 1;
  if (g_config.environment_bytes + bytes > sizeof(g_config.environment)) return;
  copy_bytes(g_config.environment + g_config.environment_bytes, entry, bytes);
  g_config.environment_bytes += bytes;
}

// valgrind knows only the shapes of clone(2) that libc uses, and ends the program at any other.
bool is_of_valgrind(const char* entry) {
  if (!starts_with(entry, "LD_PRELOAD=")) return false;
  for (const char* at = entry; *at != '\0'; ++at) {
    if (starts_with(at, "/vgpreload_")) return true;
  }
  return false;
}

Obeyed take_environment(char** envp) {
  constexpr std::uint64_t kFirstLetters = first_letters();
  Obeyed obeyed;
  // A sum, so that the order of the variables doesn't matter.
  std::uint64_t hash = 0;
  for (char** entry = envp; *entry != nullptr; ++entry) {
    if (**entry == 'L' && is_of_valgrind(*entry)) obeyed.under_valgrind = true;
    if ((kFirstLetters >> (**entry & 63) & 1) == 0 || !starts_with_any(*entry, kTaken)) continue;
    note_obeyed(*entry, obeyed);
    if (starts_with_any(*entry, kAgentOptions)) hash += fnv1a(0xcbf29ce484222325, *entry);
    copy_entry(*entry);
  }
  g_config.agent_hash = hash;
  return obeyed;
}

void take_argv(int argc, char** argv) {
  for (int i = 0; i < argc && argv[i] != nullptr; ++i) {
    const std::size_t bytes = length(argv[i]) + 1;
    if (g_config.argv_bytes + bytes > sizeof(g_config.argv)) return;
    copy_bytes(g_config.argv + g_config.argv_bytes, argv[i], bytes);
    g_config.argv_bytes += bytes;
  }
}

std::uint32_t number_or(const char* text, std::uint32_t low, std::uint32_t high, std::uint32_t otherwise) {
  if (text == nullptr || *text == '\0') return otherwise;
  std::uint32_t value = 0;
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text > '9' || value > high) return otherwise;
    value = value * 10 + static_cast<std::uint32_t>(*text - '0');
  }
  return value < low || value > high ? otherwise : value;
}

struct Unit {
  const char* name;
  std::uint64_t size;
};
constexpr Unit kByteUnits[] = {{"", 1},           {"B", 1},           {"K", 1u << 10}, {"KiB", 1u << 10},
                               {"M", 1u << 20},   {"MiB", 1u << 20},  {"G", 1u << 30}, {"GiB", 1u << 30},
                               {"T", 1ull << 40}, {"TiB", 1ull << 40}};
constexpr Unit kTimeUnits[] = {
    {"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}};

// As proto/siprof/options.def says.
constexpr std::uint64_t kMostHeapInterval = std::uint64_t{1} << 40;
constexpr std::uint64_t kLeastBlockInterval = 1'000;
constexpr std::uint64_t kMostBlockInterval = 60'000'000'000;

// A whole number with a unit.
template <std::size_t N>
std::uint64_t amount_or(const char* text, const Unit (&units)[N], std::uint64_t low, std::uint64_t high,
                        std::uint64_t otherwise) {
  if (text == nullptr || *text < '0' || *text > '9') return otherwise;
  std::uint64_t value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    value = value * 10 + static_cast<std::uint64_t>(*text - '0');
    if (value > high) return otherwise;
  }
  for (const Unit& unit : units) {
    if (!equal(text, unit.name)) continue;
    const std::uint64_t amount = value <= high / unit.size ? value * unit.size : high + 1;
    return amount < low || amount > high ? otherwise : amount;
  }
  return otherwise;
}

bool is_separator(char c) {
  return c == ',' || c == ' ' || c == '\t';
}

bool list_has(const char* list, const char* word) {
  const std::size_t bytes = length(word);
  for (const char* at = list; *at != '\0';) {
    while (is_separator(*at)) ++at;
    if (starts_with(at, word) && (at[bytes] == '\0' || is_separator(at[bytes]))) return true;
    while (*at != '\0' && !is_separator(*at)) ++at;
  }
  return false;
}

struct KindName {
  const char* name;
  std::uint32_t bit;
};
constexpr KindName kKindNames[] = {{"cpu", kind_bit(EventKind::kCpu)},
                                   {"wall", kind_bit(EventKind::kWall)},
                                   {"heap", kind_bit(EventKind::kHeap)},
                                   {"lock", kind_bit(EventKind::kLock)},
                                   {"io", kind_bit(EventKind::kIo)},
                                   {"errors", kind_bit(EventKind::kError)},
                                   {"metrics", kMetricsBit},
                                   {"none", 0}};
constexpr std::uint32_t kDefaultKinds = (kAllKinds & ~kind_bit(EventKind::kWall)) | kMetricsBit;

// A list of words that are no kinds is a mistake: as if it weren't there, and the agent warns.
std::uint32_t wanted_kinds(const char* list) {
  if (list == nullptr) return kDefaultKinds;
  std::uint32_t kinds = 0;
  bool any = false;
  for (const KindName& kind : kKindNames) {
    if (!list_has(list, kind.name)) continue;
    kinds |= kind.bit;
    any = true;
  }
  return any ? kinds : kDefaultKinds;
}

// In any case of letters.
bool is_word(const char* text, const char* word) {
  while (*word != '\0' && (*text | 0x20) == (*word | 0x20)) ++text, ++word;
  return *text == *word;
}

// The values of a switch: docs/configuration.md.
// OpenTelemetry knows no other value.
bool is_otel_true(const char* text) {
  return text != nullptr && is_word(text, "true");
}
// With SIPROF_FOLLOW=0 this process is profiled and what it execs is not: the
// value they inherit is changed in place, because setenv would reallocate the
// app's environment.
bool follow_stops_here(char* follow) {
  if (follow == nullptr) return false;
  if (is_off(follow)) {
    g_config.follow_children = false;
    follow[0] = '-';
    follow[1] = '\0';
    return false;
  }
  return equal(follow, "-");
}

}  // namespace

bool is_off(const char* text) {
  return text != nullptr &&
         (is_word(text, "0") || is_word(text, "false") || is_word(text, "off") || is_word(text, "no"));
}

bool is_on(const char* text) {
  return text != nullptr &&
         (is_word(text, "1") || is_word(text, "true") || is_word(text, "on") || is_word(text, "yes"));
}

const char* captured(const char* name) {
  const std::size_t bytes = length(name);
  const char* end = g_config.environment + g_config.environment_bytes;
  for (const char* at = g_config.environment; at < end; at += length(at) + 1) {
    if (!starts_with(at, name) || at[bytes] != '=') continue;
    return at[bytes + 1] != '\0' ? at + bytes + 1 : nullptr;  // empty counts as not set
  }
  return nullptr;
}

void read_config(int argc, char** argv, char** envp) {
  g_config.follow_children = true;
  g_config.user_id = static_cast<std::uint32_t>(getauxval(AT_EUID));
  const Obeyed obeyed = take_environment(envp);
  if (obeyed.under_valgrind || is_on(obeyed.disabled) || is_otel_true(obeyed.sdk_disabled) ||
      follow_stops_here(obeyed.follow))
    return;
  // A set-user-id program's environment is not ours to trust.
  if (getauxval(AT_SECURE) != 0) return;

  take_argv(argc, argv);
  g_config.rates = {
      number_or(obeyed.hz, 1, 1000, 100), wanted_kinds(obeyed.kinds),
      amount_or(obeyed.heap_interval, kByteUnits, 1, kMostHeapInterval, kDefaultHeapIntervalBytes),
      amount_or(obeyed.block_interval, kTimeUnits, kLeastBlockInterval, kMostBlockInterval,
                kDefaultBlockIntervalNs),
      1};
  g_config.explicit_socket = obeyed.agent_socket != nullptr;
  timespec now{};
  // Not by the vDSO: its code and data pages would be two faults more.
  sys::call(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  g_config.start_ns =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  g_config.enabled = true;
}

}  // namespace siprof::shim
