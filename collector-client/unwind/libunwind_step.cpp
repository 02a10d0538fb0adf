// SPDX-License-Identifier: Apache-2.0
// See libunwind_step.h. The table search is libunwind's internal function that perf(1)
// uses too; its name and signature are the same from 1.0 to 1.8.
#include "collector-client/unwind/libunwind_step.h"

#include <libunwind-x86_64.h>

#include <algorithm>
#include <cstring>

#include "collector-client/unwind/guess_step.h"

extern "C" {
int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t* table,
                                       unw_proc_info_t* info, int need_unwind_info, void* argument);

// libunwind.a would define it and take over libgcc's _Unwind_* with it. Only unw_resume of the own
// process calls it, and the agent never resumes anything.
int _Ux86_64_setcontext(const void*) {
  return -1;
}
}

namespace siprof::client {
namespace {

constexpr int kMaxAccesses = 20000;  // a frame takes some hundred; an endless expression takes all

struct Context {
  const StepInput& input;
  const Registers& registers;
  int accesses_left = kMaxAccesses;
  int asked_for = -1;  // the caller's register that is being looked up
  bool beyond_stack = false;
  std::uint64_t beyond = 0;
};

// libunwind reads aligned words, so the last one may reach beyond the file.
bool read_file(const StepInput& input, std::uint64_t address, unw_word_t* value) {
  const auto bytes = input.image->at(address - input.bias);
  if (bytes.empty()) return false;
  *value = 0;
  std::memcpy(value, bytes.data(), std::min(bytes.size(), sizeof *value));
  return true;
}

int access_mem(unw_addr_space_t, unw_word_t address, unw_word_t* value, int write, void* argument) {
  auto& context = *static_cast<Context*>(argument);
  if (write != 0 || --context.accesses_left < 0) return -UNW_EINVAL;
  if (read_word(*context.input.stack, address, *value)) {
    if (context.input.log != nullptr) context.input.log->words.emplace_back(address, *value);
    return 0;
  }
  if (read_file(context.input, address, value)) return 0;
  context.beyond_stack = true;
  context.beyond = address;
  return -UNW_EINVAL;
}

int access_reg(unw_addr_space_t, unw_regnum_t number, unw_word_t* value, int write, void* argument) {
  const Context& context = *static_cast<Context*>(argument);
  if (write != 0 || number < 0 || static_cast<std::size_t>(number) >= kRegisterCount) return -UNW_EBADREG;
  if (StepLog* log = context.input.log; log != nullptr)
    (number == context.asked_for ? log->registers_kept : log->registers_read) |= 1u << number;
  *value = number == static_cast<int>(kRip) ? context.input.lookup_address
                                            : context.registers[static_cast<std::size_t>(number)];
  return 0;
}

int access_fpreg(unw_addr_space_t, unw_regnum_t, unw_fpreg_t*, int, void*) {
  return -UNW_EBADREG;
}
int get_dynamic_list(unw_addr_space_t, unw_word_t*, void*) {
  return -UNW_ENOINFO;
}
int resume(unw_addr_space_t, unw_cursor_t*, void*) {
  return -UNW_EINVAL;
}
int get_name(unw_addr_space_t, unw_word_t, char*, std::size_t, unw_word_t*, void*) {
  return -UNW_ENOINFO;
}
void put_unwind_info(unw_addr_space_t, unw_proc_info_t*, void*) {}

// .eh_frame_hdr as all linkers write it: version 1, 32-bit count, a sorted table of pairs of
// 32-bit distances from the header. Anything else would not be searchable by libunwind either.
bool describe_table(const StepInput& input, unw_dyn_info_t& table) {
  constexpr std::uint8_t kUsual[4] = {1, 0x1b, 0x03, 0x3b};
  const std::uint64_t header = input.image->eh_frame_header();
  const auto bytes = input.image->at(header);
  std::uint32_t count = 0;
  if (header == 0 || bytes.size() < 12 || std::memcmp(bytes.data(), kUsual, sizeof kUsual) != 0) return false;
  std::memcpy(&count, bytes.data() + 8, sizeof count);
  if (count > (bytes.size() - 12) / 8) return false;
  table.start_ip = 0;
  table.end_ip = UINT64_MAX;
  table.format = UNW_INFO_FORMAT_REMOTE_TABLE;
  table.u.rti.segbase = header + input.bias;
  table.u.rti.table_data = header + input.bias + 12;
  table.u.rti.table_len = count;  // in words
  return true;
}

// What libunwind has read of the entry's CIE, as far as this field; the same from 1.0 to 1.8.
struct CieInfo {
  unw_word_t instructions[4];
  unw_word_t code_alignment;
  unw_word_t data_alignment;
  unw_word_t return_column;
};

// libunwind indexes its table of 17 registers by the column without a check. Rules come here with
// rip's only (frame_rules.cpp), yet in a hostile file the two may find different entries.
void make_column_safe(const unw_proc_info_t& info) {
  if (info.format != UNW_INFO_FORMAT_TABLE || info.unwind_info == nullptr) return;
  static_cast<CieInfo*>(info.unwind_info)->return_column = kRip;
}

int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t* info, int need_unwind_info,
                   void* argument) {
  unw_dyn_info_t table = {};
  // Not -UNW_ENOINFO: that would make libunwind guess, and the unwinder guesses better.
  if (!describe_table(static_cast<Context*>(argument)->input, table) || ip == UINT64_MAX) return -UNW_EINVAL;
  const int result = _Ux86_64_dwarf_search_unwind_table(space, ip, &table, info, need_unwind_info, argument);
  if (result >= 0 && need_unwind_info != 0) make_column_safe(*info);
  return result < 0 ? -UNW_EINVAL : result;
}

// Without caching: only few frames come here, and the cache would lock and mask signals for each.
unw_addr_space_t address_space() {
  static unw_accessors_t accessors = {
      .find_proc_info = find_proc_info,
      .put_unwind_info = put_unwind_info,
      .get_dyn_info_list_addr = get_dynamic_list,
      .access_mem = access_mem,
      .access_reg = access_reg,
      .access_fpreg = access_fpreg,
      .resume = resume,
      .get_proc_name = get_name,
  };
  static const unw_addr_space_t space = [] {
    const unw_addr_space_t created = unw_create_addr_space(&accessors, 0);
    if (created != nullptr) unw_set_caching_policy(created, UNW_CACHE_NONE);
    return created;
  }();
  return space;
}

}  // namespace

StepResult step_with_libunwind(const StepInput& input, Registers& registers, std::uint64_t& beyond) {
  Context context{.input = input, .registers = registers};
  unw_cursor_t cursor;
  if (address_space() == nullptr || unw_init_remote(&cursor, address_space(), &context) != 0) {
    return StepResult::kFailed;
  }
  const int result = unw_step(&cursor);
  if (result < 0 && context.beyond_stack) {
    beyond = context.beyond;
    return StepResult::kBeyondStack;
  }
  if (result < 0) return StepResult::kFailed;
  if (result == 0) return StepResult::kOutermost;
  Registers caller = registers;
  for (std::size_t number = 0; number < kRegisterCount; ++number) {
    unw_word_t value = 0;
    context.asked_for = static_cast<int>(number);
    if (unw_get_reg(&cursor, static_cast<int>(number), &value) == 0)
      caller[number] = value;
    else if (input.log != nullptr)
      input.log->registers_kept |= 1u << number;
  }
  registers = caller;
  return StepResult::kStepped;
}

}  // namespace siprof::client
