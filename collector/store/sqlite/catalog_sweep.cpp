// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/catalog_sweep.h"

#include "absl/strings/str_cat.h"
#include "collector/store/sqlite/layout.h"

namespace siprof::collector::sqlite {
namespace {

constexpr char kMakeLists[] = R"sql(
CREATE TEMP TABLE used_series(id INTEGER PRIMARY KEY);
CREATE TEMP TABLE used(space INTEGER, id INTEGER, PRIMARY KEY(space, id)) WITHOUT ROWID;
CREATE TEMP TABLE used_node(service_id INTEGER, id INTEGER, PRIMARY KEY(service_id, id)) WITHOUT ROWID)sql";
constexpr char kDropLists[] =
    "DROP TABLE IF EXISTS temp.used_series; DROP TABLE IF EXISTS temp.used; DROP TABLE IF EXISTS "
    "temp.used_node";

// Dependents go before what they refer to, and a table's last row always stays: the
// next id is counted from it, and an id that came back would give old stacks new names.
// Each condition asks the rows that are left, so that a last row keeps all that it needs.
constexpr char kSweep[] = R"sql(
DELETE FROM series WHERE id NOT IN (SELECT id FROM used_series) AND id < (SELECT max(id) FROM series);
DELETE FROM label_set WHERE id NOT IN (SELECT label_set_id FROM series)
  AND id < (SELECT max(id) FROM label_set);
DELETE FROM service WHERE id NOT IN (SELECT service_id FROM series) AND id < (SELECT max(id) FROM service);
DELETE FROM agent WHERE id NOT IN (SELECT id FROM used WHERE space = -1) AND id < (SELECT max(id) FROM agent);
WITH RECURSIVE node(service_id, id) AS (
  SELECT space, used.id FROM used JOIN service ON service.id = space
  UNION SELECT service.id, (SELECT max(id) FROM stack_node WHERE service_id = service.id) AS last
    FROM service WHERE last IS NOT NULL
  UNION SELECT stack_node.service_id, stack_node.parent
    FROM node JOIN stack_node INDEXED BY stack_node_by_id
      ON stack_node.service_id = node.service_id AND stack_node.id = node.id)
INSERT INTO used_node SELECT service_id, id FROM node;
DELETE FROM stack_node WHERE NOT EXISTS (SELECT 1 FROM used_node
  WHERE used_node.service_id = stack_node.service_id AND used_node.id = stack_node.id);
DELETE FROM frame WHERE id NOT IN (SELECT frame_id FROM stack_node) AND id < (SELECT max(id) FROM frame);
DELETE FROM function WHERE id NOT IN (SELECT function_id FROM frame) AND id < (SELECT max(id) FROM function);
DELETE FROM mapping WHERE id NOT IN (SELECT mapping_id FROM frame) AND id < (SELECT max(id) FROM mapping);
DELETE FROM string WHERE id < (SELECT max(id) FROM string) AND id NOT IN (
  SELECT name FROM function UNION SELECT system_name FROM function UNION SELECT file FROM function
  UNION SELECT file FROM mapping UNION SELECT build_id FROM mapping
  UNION SELECT kind FROM series UNION SELECT types FROM series UNION SELECT id FROM used WHERE space = -2);
INSERT INTO setting(name, value) VALUES('generation', 1) ON CONFLICT(name) DO UPDATE SET value = value + 1)sql";
static_assert(kAgentSpace == -1 && kStringSpace == -2);

absl::Status list_day(Database& catalog, const std::string& file) {
  absl::StatusOr<Statement> attach = catalog.prepare("ATTACH ? AS day");
  if (!attach.ok()) return attach.status();
  if (absl::Status status = attach->bind(1, file).run(); !status.ok()) return status;
  const absl::StatusOr<std::int64_t> version = catalog.query_integer("PRAGMA day.user_version");
  absl::Status status = version.status();
  if (status.ok() && *version == 1)
    status = absl::FailedPreconditionError(absl::StrCat(file, " doesn't list the names it uses"));
  // 0: a file that a crash left without tables.
  if (status.ok() && *version != 0)
    status = catalog.run(
        "INSERT OR IGNORE INTO used_series SELECT series_id FROM day.series_range;"
        "INSERT OR IGNORE INTO used SELECT space, id FROM day.reference");
  if (status.ok() && *version > kDayVersionWithoutMetrics)
    status = catalog.run(
        "INSERT OR IGNORE INTO used_series SELECT series_id FROM day.metric_range;"
        "INSERT OR IGNORE INTO used SELECT -2, metric FROM day.metric_name");
  absl::Status detached = catalog.run("DETACH day");
  status.Update(detached);
  return status;
}

absl::StatusOr<std::int64_t> live_bytes(Database& catalog) {
  const absl::StatusOr<std::int64_t> pages = catalog.query_integer("PRAGMA main.page_count");
  const absl::StatusOr<std::int64_t> free = catalog.query_integer("PRAGMA main.freelist_count");
  const absl::StatusOr<std::int64_t> page_bytes = catalog.query_integer("PRAGMA main.page_size");
  for (const auto* result : {&pages, &free, &page_bytes})
    if (!result->ok()) return result->status();
  return (*pages - *free) * *page_bytes;
}

// Free pages are used again, so a few of them are no reason to write the file anew.
absl::Status give_back(Database& catalog) {
  const absl::StatusOr<std::int64_t> pages = catalog.query_integer("PRAGMA main.page_count");
  const absl::StatusOr<std::int64_t> free = catalog.query_integer("PRAGMA main.freelist_count");
  if (!pages.ok()) return pages.status();
  if (!free.ok()) return free.status();
  if (*free > *pages / 8)
    if (absl::Status status = catalog.run("VACUUM main"); !status.ok()) return status;
  return catalog.run("PRAGMA main.wal_checkpoint(TRUNCATE)");
}

absl::StatusOr<std::int64_t> sweep_listed(Database& catalog, Sweep sweep) {
  absl::StatusOr<Transaction> transaction = Transaction::begin(catalog);
  if (!transaction.ok()) return transaction.status();
  if (absl::Status status = catalog.run(kSweep); !status.ok()) return status;
  absl::StatusOr<std::int64_t> bytes = live_bytes(catalog);
  if (!bytes.ok() || sweep == Sweep::kTry) return bytes;
  if (absl::Status status = transaction->commit(); !status.ok()) return status;
  return bytes;
}

}  // namespace

absl::StatusOr<std::int64_t> sweep_catalog(Database& catalog, std::span<const std::string> day_files,
                                           Sweep sweep) {
  if (absl::Status status = catalog.run(absl::StrCat(kDropLists, ";", kMakeLists).c_str()); !status.ok())
    return status;
  absl::Status listed;
  for (const std::string& file : day_files)
    if (listed = list_day(catalog, file); !listed.ok()) break;
  const absl::StatusOr<std::int64_t> bytes = listed.ok() ? sweep_listed(catalog, sweep) : listed;
  if (absl::Status status = catalog.run(kDropLists); !status.ok()) return status;
  if (!bytes.ok()) return bytes;
  if (absl::Status status = give_back(catalog); !status.ok()) return status;
  return bytes;
}

}  // namespace siprof::collector::sqlite
