// SPDX-License-Identifier: Apache-2.0
// See code_book.h.
#include "collector-client/python/code_book.h"

#include <string_view>
#include <utility>

#include "collector-client/base/presentable.h"
#include "collector-client/python/line_table.h"

namespace siprof::client {
namespace {

constexpr std::size_t kCodeBytes = 256;  // about, without its texts and its table
constexpr std::size_t kMostFrames = 32'768;
constexpr std::size_t kMostGivenUp = 4096;
constexpr std::string_view kInit = "__init__";

}  // namespace

CodeBook::CodeBook(PythonFunctions& functions, std::shared_ptr<FileOpener> opener, Limits limits)
    : functions_(functions), folders_(std::move(opener)), limits_(limits) {}

CodeBook::~CodeBook() {
  release(codes_);
  release(before_);
}

void CodeBook::release(const Codes& codes) {
  for (const auto& [mark, code] : codes) functions_.release(code.function);
}

void CodeBook::define(const PythonCodePart& part) {
  const PythonCodeFields& fields = part.fields;
  const Code* known = find(fields.mark);
  // Beyond its limits it takes nothing before it has been turned over.
  if (known == nullptr && is_full()) return;
  const auto [at, is_new] = codes_.try_emplace(fields.mark);
  Code& code = at->second;
  if (is_new) {
    const std::string module = module_name(part.file, folders_);
    code.function = functions_.intern({presentable(python_function_name(module, part.name)),
                                       presentable(part.name), presentable(part.file), fields.first_line});
    code.first_line = fields.first_line;
    code.table_bytes = fields.table_bytes;
    code.version = fields.version;
    code.is_helper = part.name == kInit && part.file == kInit;
    code.text_bytes = module.size() + 2 * part.name.size() + part.file.size();
    bytes_ += kCodeBytes + code.text_bytes;
  }
  const bool is_next = fields.part_start == code.table.size() && fields.table_bytes == code.table_bytes &&
                       part.table.size() <= code.table_bytes - code.table.size();
  if (!is_next) return;
  code.table.insert(code.table.end(), part.table.begin(), part.table.end());
  bytes_ += part.table.size();
  given_up_.erase(fields.mark);
}

const CodeBook::Code* CodeBook::find(std::uint64_t mark) {
  if (const auto known = codes_.find(mark); known != codes_.end()) return &known->second;
  const auto old = before_.find(mark);
  if (old == before_.end()) return nullptr;
  bytes_ += kCodeBytes + old->second.text_bytes + old->second.table.size();
  Code& code = codes_[mark] = std::move(old->second);
  before_.erase(old);
  return &code;
}

bool CodeBook::knows(std::uint64_t mark) const {
  if (given_up_.contains(mark)) return true;
  const auto known = codes_.find(mark);
  if (known != codes_.end()) return known->second.is_whole();
  const auto old = before_.find(mark);
  return old != before_.end() && old->second.is_whole();
}

void CodeBook::give_up(std::uint64_t mark) {
  if (given_up_.size() >= kMostGivenUp) given_up_.clear();
  given_up_.insert(mark);
}

std::uint32_t CodeBook::line_at(const Code& code, std::uint32_t instruction) {
  if (instruction == kPythonNoInstruction || !code.is_whole()) return code.first_line;
  return line_of(code.version, code.table, code.first_line, instruction).value_or(code.first_line);
}

bool CodeBook::is_helper(std::uint64_t word) {
  const Code* code = find(python_mark(word));
  return code != nullptr && code->is_helper;
}

CodeAddress CodeBook::frame(std::uint64_t word) {
  const std::uint64_t key = word >> kPythonInstructionShift;
  const Code* code = find(python_mark(word));
  if (code == nullptr) return PythonFunctions::address_of(PythonFunctions::kUnknown, 0);
  if (const auto known = frames_.find(key); known != frames_.end()) return known->second;
  const CodeAddress address =
      PythonFunctions::address_of(code->function, line_at(*code, python_instruction(word)));
  if (!code->is_whole()) return address;
  if (frames_.size() >= kMostFrames) frames_.clear();
  return frames_[key] = address;
}

void CodeBook::turn_over() {
  release(before_);
  before_ = std::exchange(codes_, {});
  bytes_ = 0;
  frames_.clear();
  given_up_.clear();
}

}  // namespace siprof::client
