// SPDX-License-Identifier: Apache-2.0
// spdlog's default logger on stderr or a file.
#include "collector-client/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <stdio.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace siprof::client {
namespace {

constexpr off_t kRotateBytes = 4 << 20;
constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%e%z siprof[%P] %l: %v";

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kDebug:
      return spdlog::level::debug;
  }
  return spdlog::level::warn;
}

void install(spdlog::sink_ptr sink, LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("siprof", std::move(sink));
  logger->set_level(spdlog_level(level));
  logger->set_pattern(kPattern);
  logger->flush_on(spdlog::level::trace);  // few lines, and an agent may be killed at any time
  // A full disk under the log must not end anything, nor reach the app's stderr.
  logger->set_error_handler([](const std::string&) {});
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

absl::Status open_log(LogLevel level, const std::string& file) {
  install(std::make_shared<spdlog::sinks::stderr_sink_mt>(), level);
  if (file.empty()) return absl::OkStatus();
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && info.st_size > kRotateBytes) {
    ::rename(file.c_str(), absl::StrCat(file, ".1").c_str());
  }
  try {
    install(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file), level);
  } catch (const spdlog::spdlog_ex& e) {
    return absl::UnavailableError(absl::StrCat("cannot write the log: ", e.what()));
  }
  return absl::OkStatus();
}

}  // namespace siprof::client
