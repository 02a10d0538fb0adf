// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/catalog_writer.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "collector/store/sqlite/layout.h"

namespace siprof::collector::sqlite {
namespace {

// Above it what is in memory is dropped between two batches and read again as needed.
constexpr std::size_t kMaxCacheBytes = 256u << 20;
constexpr std::size_t kNodeBytes = sizeof(std::array<Id, 3>) + 8;

// Errors of several StatusOr at once: the first one.
template <typename... T>
absl::Status first_error(const absl::StatusOr<T>&... results) {
  absl::Status first;
  (first.Update(results.status()), ...);
  return first;
}

absl::Status ensure_catalog_schema(Database& db) {
  const absl::StatusOr<Id> version = db.query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version == kLayoutVersionWithoutMetrics)
    return db.run(absl::StrCat("PRAGMA user_version=", kLayoutVersion).c_str());
  return db.ensure_schema(kCatalogSchema, kLayoutVersion);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CatalogWriter>> CatalogWriter::open(const std::string& path) {
  absl::StatusOr<Database> opened = Database::open(path, Open::kWriter);
  if (!opened.ok()) return opened.status();
  Database db = *std::move(opened);
  // FULL: a day file must never refer to names that a power cut took away.
  if (absl::Status status = db.run("PRAGMA synchronous=FULL"); !status.ok()) return status;
  if (absl::Status status = ensure_catalog_schema(db); !status.ok()) return status;
  auto services = Texts::open(db, "service", {"name"});
  auto agents = Texts::open(db, "agent", {"name"});
  auto strings = Texts::open(db, "string", {"text"});
  auto label_sets = Texts::open(db, "label_set", {"json"});
  auto series = Numbers<4>::open(db, "series", {"service_id", "label_set_id", "kind", "types"});
  auto functions = Numbers<4>::open(db, "function", {"name", "system_name", "file", "start_line"});
  auto mappings = Numbers<5>::open(db, "mapping", {"file", "build_id", "start", "limit_", "offset_"});
  auto frames = Numbers<5>::open(db, "frame", {"function_id", "line", "mapping_id", "address", "inlined"});
  auto find_node = db.prepare("SELECT id FROM stack_node WHERE service_id=? AND parent=? AND frame_id=?");
  auto insert_node = db.prepare("INSERT INTO stack_node(service_id,parent,frame_id,id) VALUES(?,?,?,?)");
  auto last_node =
      db.prepare("SELECT max(id) FROM stack_node INDEXED BY stack_node_by_id WHERE service_id=?");
  auto find_setting = db.prepare("SELECT value FROM setting WHERE name=?");
  auto set_setting = db.prepare("INSERT OR REPLACE INTO setting(name,value) VALUES(?,?)");
  if (absl::Status status = first_error(services, agents, strings, label_sets, series, functions, mappings,
                                        frames, find_node, insert_node, last_node, find_setting, set_setting);
      !status.ok())
    return status;
  Statements statements{*std::move(find_node), *std::move(insert_node), *std::move(last_node),
                        *std::move(find_setting), *std::move(set_setting)};
  return std::unique_ptr<CatalogWriter>(
      new CatalogWriter(std::move(db), *std::move(services), *std::move(agents), *std::move(strings),
                        *std::move(label_sets), *std::move(series), *std::move(functions),
                        *std::move(mappings), *std::move(frames), std::move(statements)));
}

CatalogWriter::CatalogWriter(Database db, Texts services, Texts agents, Texts strings, Texts label_sets,
                             Numbers<4> series, Numbers<4> functions, Numbers<5> mappings, Numbers<5> frames,
                             Statements statements)
    : db_(std::move(db)),
      services_(std::move(services)),
      agents_(std::move(agents)),
      strings_(std::move(strings)),
      label_sets_(std::move(label_sets)),
      series_(std::move(series)),
      functions_(std::move(functions)),
      mappings_(std::move(mappings)),
      frames_(std::move(frames)),
      statements_(std::move(statements)) {}

absl::Status CatalogWriter::begin() {
  if (bytes() > kMaxCacheBytes) forget();
  absl::StatusOr<Transaction> transaction = Transaction::begin(db_);
  if (!transaction.ok()) return transaction.status();
  transaction_.emplace(*std::move(transaction));
  added_ = false;
  return absl::OkStatus();
}

absl::Status CatalogWriter::commit() {
  const absl::Status status = transaction_->commit();
  transaction_.reset();
  if (!status.ok()) forget();
  return status;
}

void CatalogWriter::rollback() {
  transaction_.reset();
  forget();
}

absl::StatusOr<Id> CatalogWriter::label_set(const std::map<std::string, std::string>& labels) {
  return label_sets_.id_of(
      db_, nlohmann::json(labels).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), added_);
}

absl::StatusOr<Id> CatalogWriter::series(Id service, Id label_set, absl::string_view kind,
                                         absl::string_view types) {
  const absl::StatusOr<Id> kind_id = string(kind);
  const absl::StatusOr<Id> types_id = string(types);
  if (absl::Status status = first_error(kind_id, types_id); !status.ok()) return status;
  return series_.id_of(db_, std::array<Id, 4>{service, label_set, *kind_id, *types_id}, added_);
}

absl::StatusOr<std::uint32_t*> CatalogWriter::last_node(Id service) {
  const auto [slot, fresh] = last_nodes_.try_emplace(service, 0);
  if (!fresh) return &slot->second;
  Statement& find = statements_.last_node;
  const absl::StatusOr<bool> row = find.bind(1, service).step();
  if (row.ok()) slot->second = static_cast<std::uint32_t>(find.integer(0));
  find.reset();
  if (row.ok()) return &slot->second;
  last_nodes_.erase(slot);
  return row.status();
}

absl::StatusOr<std::uint32_t> CatalogWriter::stack_node(Id service, std::uint32_t parent, Id frame) {
  const std::array<Id, 3> key{service, parent, frame};
  if (const auto known = nodes_.find(key); known != nodes_.end()) return known->second;
  Statement& find = statements_.find_node;
  const absl::StatusOr<bool> found = find.bind(1, service).bind(2, Id{parent}).bind(3, frame).step();
  if (!found.ok()) return found.status();
  if (*found) {
    const auto id = static_cast<std::uint32_t>(find.integer(0));
    find.reset();
    nodes_.emplace(key, id);
    return id;
  }
  const absl::StatusOr<std::uint32_t*> last = last_node(service);
  if (!last.ok()) return last.status();
  // Readers keep parents in 32-bit arrays with a sign.
  if (**last >= std::numeric_limits<std::int32_t>::max() - 1)
    return absl::ResourceExhaustedError("the service has too many distinct stacks");
  const std::uint32_t id = **last + 1;
  Statement& insert = statements_.insert_node;
  absl::Status status = insert.bind(1, service).bind(2, Id{parent}).bind(3, frame).bind(4, Id{id}).run();
  if (!status.ok()) return status;
  **last = id;
  added_ = true;
  nodes_.emplace(key, id);
  return id;
}

absl::StatusOr<std::int64_t> CatalogWriter::sweep(std::span<const std::string> day_files, Sweep sweep) {
  if (sweep == Sweep::kDo) forget();
  return sweep_catalog(db_, day_files, sweep);
}

absl::StatusOr<Id> CatalogWriter::setting(absl::string_view name) {
  Statement& find = statements_.find_setting;
  const absl::StatusOr<bool> row = find.bind(1, name).step();
  if (!row.ok()) return row.status();
  const Id value = *row ? find.integer(0) : 0;
  find.reset();
  return value;
}

absl::Status CatalogWriter::set_setting(absl::string_view name, Id value) {
  return statements_.set_setting.bind(1, name).bind(2, value).run();
}

std::size_t CatalogWriter::bytes() const {
  return services_.bytes() + agents_.bytes() + strings_.bytes() + label_sets_.bytes() + series_.bytes() +
         functions_.bytes() + mappings_.bytes() + frames_.bytes() +
         (nodes_.size() + stacks_.size()) * kNodeBytes;
}

void CatalogWriter::forget() {
  services_.forget();
  agents_.forget();
  strings_.forget();
  label_sets_.forget();
  series_.forget();
  functions_.forget();
  mappings_.forget();
  frames_.forget();
  nodes_ = {};
  stacks_ = {};
  last_nodes_ = {};
}

}  // namespace siprof::collector::sqlite
