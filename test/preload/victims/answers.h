// SPDX-License-Identifier: Apache-2.0
// A table of what calls answer: a row a subject, a cell a call, with errno where the call has touched it. The
// same with and without siprof, or siprof is seen.
#pragma once

#include <cerrno>
#include <string>
#include <thread>

#include "test/preload/victims/victim.h"

namespace answers {

inline constexpr int kUntouched = 4711;
inline constexpr int64_t kSoonNs = 3'000'000;

inline timespec at(clockid_t clock, int64_t from_now_ns) {
  const int64_t ns = victim::clock_ns(clock) + from_now_ns;
  return {ns / 1'000'000'000, ns % 1'000'000'000};
}
inline timespec soon(clockid_t clock = CLOCK_REALTIME) {
  return at(clock, kSoonNs);
}
inline timespec invalid() {
  timespec time = soon();
  time.tv_nsec = 1'000'000'000;
  return time;
}

inline std::string g_row;

template <typename Call>
void cell(const char* what, Call call) {
  errno = kUntouched;
  const int result = call();
  g_row += std::string(" ") + what + "=" + std::to_string(result);
  if (errno != kUntouched) g_row += "/" + std::to_string(errno);
}

template <typename Call>
void cell_elsewhere(const char* what, Call call) {
  std::thread([&] { cell(what, call); }).join();
}

inline void print_row(const std::string& name) {
  printf("%-40s%s\n", name.c_str(), g_row.c_str());
  g_row.clear();
}

}  // namespace answers
