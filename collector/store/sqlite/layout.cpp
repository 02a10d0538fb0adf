// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/layout.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

namespace siprof::collector::sqlite {

// string, function, mapping, frame: each row once, ids in order of first sight.
// stack_node: a stack is the id of its innermost frame's node. Ids are dense per
// service, a parent's is smaller than its children's; 0 is the empty stack.
// series: one per service, label set, kind and list of sample types (kind and types are strings: "cpu",
// "samples/count,cpu/nanoseconds;cpu/nanoseconds", the period type last).
const char kCatalogSchema[] = R"sql(
CREATE TABLE service(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE label_set(id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE);
CREATE TABLE series(id INTEGER PRIMARY KEY, service_id INTEGER NOT NULL, label_set_id INTEGER NOT NULL,
  kind INTEGER NOT NULL, types INTEGER NOT NULL, UNIQUE(service_id, label_set_id, kind, types));
CREATE TABLE agent(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE string(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE function(id INTEGER PRIMARY KEY, name INTEGER NOT NULL, system_name INTEGER NOT NULL,
  file INTEGER NOT NULL, start_line INTEGER NOT NULL, UNIQUE(name, system_name, file, start_line));
CREATE TABLE mapping(id INTEGER PRIMARY KEY, file INTEGER NOT NULL, build_id INTEGER NOT NULL,
  start INTEGER NOT NULL, limit_ INTEGER NOT NULL, offset_ INTEGER NOT NULL,
  UNIQUE(file, build_id, start, limit_, offset_));
CREATE TABLE frame(id INTEGER PRIMARY KEY, function_id INTEGER NOT NULL, line INTEGER NOT NULL,
  mapping_id INTEGER NOT NULL, address INTEGER NOT NULL, inlined INTEGER NOT NULL,
  UNIQUE(function_id, line, mapping_id, address, inlined));
CREATE TABLE stack_node(service_id INTEGER NOT NULL, parent INTEGER NOT NULL, frame_id INTEGER NOT NULL,
  id INTEGER NOT NULL, PRIMARY KEY(service_id, parent, frame_id)) WITHOUT ROWID;
CREATE UNIQUE INDEX stack_node_by_id ON stack_node(service_id, id, parent, frame_id);
CREATE TABLE setting(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// profile is small and in the order that queries read it: a chart never touches
// body. Its key makes delivery exactly-once: a repeat has the same agent,
// sequence, series and start, so it meets its own row, whichever file is asked.
// reference: all ids besides series that the day's profiles use, each once, so that
// what is still in use is known without reading a body.
const char kDaySchema[] = R"sql(
CREATE TABLE profile(series_id INTEGER NOT NULL, start_ns INTEGER NOT NULL, agent_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL, duration_ns INTEGER NOT NULL, period INTEGER NOT NULL, body_id INTEGER NOT NULL,
  total_0 INTEGER, total_1 INTEGER, total_2 INTEGER, total_3 INTEGER,
  total_4 INTEGER, total_5 INTEGER, total_6 INTEGER, total_7 INTEGER,
  PRIMARY KEY(series_id, start_ns, agent_id, sequence)) WITHOUT ROWID;
CREATE TABLE body(id INTEGER PRIMARY KEY, stacks BLOB NOT NULL, counters BLOB NOT NULL);
CREATE TABLE series_range(series_id INTEGER PRIMARY KEY, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL);
CREATE TABLE reference(space INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(space, id)) WITHOUT ROWID;
)sql";

// metrics: points of one window of one series, see metric_codec.h; the key as of `profile`.
// metric_name: which metrics a series has that day, so that a list of names reads no points.
const char kMetricSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS metrics(series_id INTEGER NOT NULL, start_ns INTEGER NOT NULL,
  agent_id INTEGER NOT NULL, sequence INTEGER NOT NULL, duration_ns INTEGER NOT NULL, points BLOB NOT NULL,
  PRIMARY KEY(series_id, start_ns, agent_id, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metric_range(series_id INTEGER PRIMARY KEY, first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS metric_name(series_id INTEGER NOT NULL, metric INTEGER NOT NULL,
  PRIMARY KEY(series_id, metric)) WITHOUT ROWID;
)sql";

std::int64_t day_of(std::int64_t unix_ns) {
  return unix_ns / kDayNs - (unix_ns % kDayNs < 0 ? 1 : 0);
}

std::string Layout::day(const Tier& tier, std::int64_t day) const {
  return absl::StrCat(dir_, "/", tier.name, "/", absl::FormatCivilTime(absl::CivilDay(1970) + day), ".db");
}

absl::Status Layout::create(const std::vector<Tier>& tiers) const {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(dir_).parent_path(), error);
  std::vector<std::string> folders = {dir_};
  for (const Tier& tier : tiers) folders.push_back(dir_ + "/" + tier.name);
  for (const std::string& folder : folders) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      return absl::ErrnoToStatus(errno, absl::StrCat("creating the store's folder ", folder));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DayPath>> Layout::days(const Tier& tier) const {
  std::vector<DayPath> days;
  std::error_code error;
  const std::string folder = dir_ + "/" + tier.name;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    absl::CivilDay day;
    if (absl::EndsWith(name, ".db") && absl::ParseCivilTime(name.substr(0, name.size() - 3), &day))
      days.push_back({day - absl::CivilDay(1970), at->path()});
  }
  if (error) return absl::UnavailableError(absl::StrCat("listing ", folder, ": ", error.message()));
  std::ranges::sort(days, {}, &DayPath::day);
  return days;
}

std::int64_t Layout::database_bytes(const std::string& path) {
  std::int64_t bytes = 0;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    if (::stat((path + suffix).c_str(), &info) == 0) bytes += info.st_blocks * 512;
  }
  return bytes;
}

// The database goes last: while it is there, a crash in between leaves a file
// that the next start sees and removes again.
absl::Status Layout::remove_database(const std::string& path) {
  for (const char* suffix : {"-wal", "-shm", ""}) {
    if (::unlink((path + suffix).c_str()) != 0 && errno != ENOENT)
      return absl::ErrnoToStatus(errno, absl::StrCat("removing ", path, suffix));
  }
  return absl::OkStatus();
}

}  // namespace siprof::collector::sqlite
