// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_book.h"

#include "shim/base/guarded.h"
#include "shim/base/text.h"
#include "shim/core/capture.h"
#include "shim/core/python_objects.h"
#include "shim/core/python_text.h"

namespace siprof::shim {
namespace {

constexpr std::uint32_t kEditionBits = 22;
constexpr std::uint64_t kEditionMask = (1u << kEditionBits) - 1;
// A table is cut at multiples of it, whatever room there is: parts that two threads write fit each other.
constexpr std::uint32_t kPartBytes = 1024;

SIPROF_SIGNAL_SAFE std::uint64_t key_of(const PythonCode& code) {
  const std::uint64_t words[] = {code.address,
                                 code.name,
                                 code.file_name,
                                 code.line_table,
                                 code.name_hash,
                                 code.file_hash,
                                 code.table_bytes << 32 | code.first_line};
  std::uint64_t key = 0;
  for (const std::uint64_t word : words) {
    key = (key ^ word) * 0x9e3779b97f4a7c15;
    key ^= key >> 32;
  }
  return key;
}

// All that records say, and how long it is.
struct Said {
  PythonText name;
  PythonText file;
  PythonCodeFields fields;
};

SIPROF_SIGNAL_SAFE bool hash_table(const PythonCode& code, std::uint32_t bytes, MarkHash* hash) {
  GuardedBytes table(code.line_table + kBytesData);
  for (std::uint32_t i = 0; i < bytes; ++i) {
    std::uint8_t byte = 0;
    if (!table.next(&byte)) return false;
    hash->add(byte);
  }
  return true;
}

SIPROF_SIGNAL_SAFE bool open_said(const PythonLayout& layout, const PythonCode& code, Said* said) {
  if (!open_text(layout, code.name, &said->name)) {
    std::uint64_t plain = 0;
    if (!load_word(code.address + layout.plain_name, &plain) || !open_text(layout, plain, &said->name))
      return false;
  }
  if (!open_text(layout, code.file_name, &said->file)) return false;
  return load_part(code.address + layout.flags, &said->fields.flags);
}

SIPROF_SIGNAL_SAFE bool read_said(const PythonLayout& layout, const PythonCode& code, Said* said) {
  if (!open_said(layout, code, said)) return false;
  PythonCodeFields& fields = said->fields;
  MarkHash hash;
  const std::uint32_t name_bytes = text_to_utf8(said->name, kMaxPythonName, nullptr, &hash);
  const std::uint32_t file_bytes = text_to_utf8(said->file, kMaxPythonFile, nullptr, &hash);
  const bool has_table = is_of_kind(code.line_table, kIsBytes) && code.table_bytes <= kMaxPythonLineTable;
  fields.table_bytes = has_table ? static_cast<std::uint32_t>(code.table_bytes) : 0;
  fields.first_line = code.first_line;
  fields.name_bytes = static_cast<std::uint16_t>(name_bytes);
  fields.file_bytes = static_cast<std::uint16_t>(file_bytes);
  fields.version = layout.version;
  if (name_bytes == 0 || file_bytes == 0 || !hash_table(code, fields.table_bytes, &hash)) return false;
  hash.add_number(std::uint64_t{fields.first_line} << 32 | fields.flags);
  hash.add_number(fields.version);
  fields.mark = hash.mark();
  return true;
}

SIPROF_SIGNAL_SAFE bool copy_table(std::uint64_t from, std::uint32_t bytes, char* to) {
  GuardedBytes table(from);
  for (std::uint32_t i = 0; i < bytes; ++i) {
    std::uint8_t byte = 0;
    if (!table.next(&byte)) return false;
    to[i] = static_cast<char>(byte);
  }
  return true;
}

// One record. What was measured before must be so still: a record that was begun is written to its end, with
// a mark that nobody has.
SIPROF_SIGNAL_SAFE Telling tell_part(RingWriter* writer, const PythonCode& code, Said& said,
                                     std::uint32_t part_start, std::uint32_t* bytes) {
  PythonCodeFields& fields = said.fields;
  const std::uint32_t left = fields.table_bytes - part_start;
  fields.part_start = part_start;
  fields.part_bytes = left < kPartBytes ? left : kPartBytes;
  const std::uint32_t wanted = padded(static_cast<std::uint32_t>(sizeof(PythonCodeRecord)) +
                                      fields.name_bytes + fields.file_bytes + fields.part_bytes);
  auto* record = reinterpret_cast<PythonCodeRecord*>(writer->claim(wanted, wanted, bytes));
  if (record == nullptr) return Telling::kNoRoom;
  char* name = reinterpret_cast<char*>(record + 1);
  char* file = name + fields.name_bytes;
  char* table = file + fields.file_bytes;
  const bool same = text_to_utf8(said.name, fields.name_bytes, name, nullptr) == fields.name_bytes &&
                    text_to_utf8(said.file, fields.file_bytes, file, nullptr) == fields.file_bytes &&
                    copy_table(code.line_table + kBytesData + part_start, fields.part_bytes, table);
  copy_bytes(&record->code, &fields, sizeof(fields));
  if (!same) record->code.mark = 0;
  RingWriter::commit(&record->header, RecordKind::kPythonCode, wanted);
  return same ? Telling::kTold : Telling::kUnreadable;
}

}  // namespace

bool look_at_code(const PythonLayout& layout, std::uint64_t address, PythonCode* code) {
  code->address = address;
  code->table_bytes = 0;
  code->name_hash = 0;
  if (!load_word(address + layout.name, &code->name) ||
      !load_word(address + layout.file_name, &code->file_name) ||
      !load_word(address + layout.line_table, &code->line_table) ||
      !load_part(address + layout.first_line, &code->first_line))
    return false;
  if (may_be_object(code->line_table)) load_word(code->line_table + kObjectSize, &code->table_bytes);
  if (may_be_object(code->name)) load_word(code->name + kTextHash, &code->name_hash);
  return may_be_object(code->file_name) && load_word(code->file_name + kTextHash, &code->file_hash);
}

std::uint64_t PythonBook::find(const PythonCode& code, BookEdition edition) const {
  const std::uint64_t key = key_of(code);
  for (std::uint32_t i = 0; i < 2; ++i) {
    const BookEntry& entry = entries_[(key ^ i) % kBookEntries];
    // Relaxed: both words belong together if they give the key, or are nobody's.
    const std::uint64_t told = entry.told.load(std::memory_order_relaxed);
    if ((entry.check.load(std::memory_order_relaxed) ^ told) != key || told == 0) continue;
    if ((told & kEditionMask) == edition) return told >> kEditionBits;
  }
  return 0;
}

void PythonBook::note(const PythonCode& code, BookEdition edition, std::uint64_t mark) {
  const std::uint64_t key = key_of(code);
  // Over what nobody needs any more, or over the first.
  const std::uint64_t second = entries_[(key ^ 1) % kBookEntries].told.load(std::memory_order_relaxed);
  const std::uint64_t first = entries_[key % kBookEntries].told.load(std::memory_order_relaxed);
  const bool first_is_used = first != 0 && (first & kEditionMask) == edition;
  const bool second_is_used = second != 0 && (second & kEditionMask) == edition;
  BookEntry& entry = entries_[(key ^ (first_is_used && !second_is_used ? 1 : 0)) % kBookEntries];
  const std::uint64_t told = mark << kEditionBits | edition;
  entry.told.store(told, std::memory_order_relaxed);
  entry.check.store(key ^ told, std::memory_order_relaxed);
}

Telling tell_code(RingWriter* writer, const PythonLayout& layout, const PythonCode& code, std::uint64_t* mark,
                  std::uint32_t* bytes) {
  Said said{};
  if (!read_said(layout, code, &said)) return Telling::kUnreadable;
  std::uint32_t start = 0;
  do {
    std::uint32_t written = 0;
    const Telling told = tell_part(writer, code, said, start, &written);
    if (told != Telling::kTold) return told;
    *bytes += written;
    start += kPartBytes;
  } while (start < said.fields.table_bytes);
  *mark = said.fields.mark;
  return Telling::kTold;
}

}  // namespace siprof::shim
