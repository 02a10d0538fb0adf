// SPDX-License-Identifier: Apache-2.0
#include "test/unit/shim/fake_python.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstring>
#include <stdexcept>

#include "shim/base/sys.h"
#include "shim/core/app_fault_action.h"
#include "shim/core/fault_guard.h"
#include "shim/core/python_objects.h"

namespace siprof::shim {
namespace {

PythonLayout layout_of_38() {
  PythonLayout layout{};
  layout.version = 0x0308;
  layout.instruction_kind = PythonInstruction::kLastBytes;
  layout.entry_kind = PythonEntry::kEveryFrame;
  layout.top_frame = 24;
  layout.cframe_current = layout.cframe_previous = kNoOffset;
  layout.thread_id = 176;
  layout.native_thread_id = layout.status = layout.entry = kNoOffset;
  layout.code = 32;
  layout.previous = 24;
  layout.instruction = 104;
  layout.code_bytes = 176;
  layout.file_name = 104;
  layout.name = layout.plain_name = 112;
  layout.line_table = 120;
  layout.first_line = 40;
  layout.flags = 36;
  layout.ascii_data = 48;
  layout.compact_data = 72;
  return layout;
}

PythonLayout layout_of_310() {
  PythonLayout layout = layout_of_38();
  layout.version = 0x030a;
  layout.instruction_kind = PythonInstruction::kLastWords;
  layout.instruction = 96;
  return layout;
}

PythonLayout layout_of_311() {
  PythonLayout layout = layout_of_38();
  layout.version = 0x030b;
  layout.instruction_kind = PythonInstruction::kPointer;
  layout.entry_kind = PythonEntry::kFlag;
  layout.top_frame = 56;
  layout.cframe_current = 8;
  layout.cframe_previous = 16;
  layout.thread_id = 152;
  layout.native_thread_id = 160;
  layout.previous = 48;
  layout.instruction = 56;
  layout.entry = 68;
  layout.code_bytes = 184;
  layout.file_name = 112;
  layout.name = 128;
  layout.plain_name = 120;
  layout.line_table = 136;
  layout.first_line = 72;
  layout.flags = 48;
  return layout;
}

PythonLayout layout_of_312() {
  PythonLayout layout = layout_of_311();
  layout.version = 0x030c;
  layout.entry_kind = PythonEntry::kShim;
  layout.cframe_current = 0;
  layout.cframe_previous = 8;
  layout.thread_id = 136;
  layout.native_thread_id = 144;
  layout.status = 24;
  layout.status_attached = 16;
  layout.code = 0;
  layout.previous = 8;
  layout.entry = 70;
  layout.code_bytes = 192;
  layout.first_line = 68;
  layout.ascii_data = 40;
  layout.compact_data = 56;
  return layout;
}

PythonLayout layout_of_313() {
  PythonLayout layout = layout_of_312();
  layout.version = 0x030d;
  layout.top_frame = 72;
  layout.cframe_current = layout.cframe_previous = kNoOffset;
  layout.thread_id = 152;
  layout.native_thread_id = 160;
  layout.status = 32;
  layout.code_bytes = 200;
  return layout;
}

constexpr std::size_t kMostFrame = 128;
constexpr std::size_t kStateBytes = 400;

}  // namespace

const std::vector<PythonLayout>& fake_layouts() {
  static const std::vector<PythonLayout> layouts = {layout_of_38(), layout_of_310(), layout_of_311(),
                                                    layout_of_312(), layout_of_313()};
  return layouts;
}

FakePython::FakePython(const PythonLayout& layout) : layout_(layout) {
  void* mapped = mmap(nullptr, kBytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<std::byte*>(mapped);
  mprotect(memory_ + kBytes, 4096, PROT_NONE);
  text_type_ = type(kIsText);
  bytes_type_ = type(kIsBytes);
  code_type_ = type(0);
  describe_code_type();
}

FakePython::~FakePython() {
  munmap(memory_, kBytes + 4096);
}

std::uint64_t FakePython::take(std::size_t bytes) {
  const std::size_t at = used_;
  used_ += (bytes + 15) / 16 * 16;
  if (used_ > kBytes) throw std::length_error("fake interpreter is full");
  return reinterpret_cast<std::uint64_t>(memory_ + at);
}

std::uint64_t FakePython::type(std::uint64_t flags) {
  const std::uint64_t type = take(400);
  put(type + kTypeFlags, flags);
  return type;
}

void FakePython::describe_code_type() {
  struct Member {
    const char* name;
    std::uint64_t offset;
  };
  std::vector<Member> members = {
      {"co_argcount", 16},
      {"co_flags", layout_.flags},
      {"co_filename", layout_.file_name},
      {"co_name", layout_.plain_name},
      {"co_firstlineno", layout_.first_line},
      {layout_.version < 0x030a ? "co_lnotab" : "co_linetable", layout_.line_table}};
  if (layout_.name != layout_.plain_name) members.push_back({"co_qualname", layout_.name});
  const std::uint64_t table = take(kMemberBytes * (members.size() + 1));
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::uint64_t name = take(strlen(members[i].name) + 1);
    strcpy(reinterpret_cast<char*>(name), members[i].name);
    put(table + i * kMemberBytes + kMemberName, name);
    put(table + i * kMemberBytes + kMemberOffset, members[i].offset);
  }
  put(code_type_ + kTypeMembers, table);
  put(code_type_ + kTypeBasicSize, std::uint64_t{layout_.code_bytes});
}

std::uint64_t FakePython::make_text(const std::u32string& characters, bool compact) {
  char32_t highest = 0;
  for (const char32_t character : characters) highest = character > highest ? character : highest;
  const std::uint32_t width = highest < 0x100 ? 1 : highest < 0x10000 ? 2 : 4;
  const bool ascii = highest < 0x80 && compact;
  const std::uint64_t header = ascii ? layout_.ascii_data : layout_.compact_data;
  const std::size_t data_bytes = (characters.size() + 1) * width;
  const std::uint64_t text = take(header + 8 + (compact ? data_bytes : 0));
  const std::uint64_t data = compact ? text + header : take(data_bytes);
  put(text + kObjectType, text_type_);
  put(text + kTextLength, std::uint64_t{characters.size()});
  put(text + kTextHash, std::hash<std::u32string>()(characters));
  put(text + kTextState, width << 2 | (compact ? 1u << 5 : 0u) | (ascii ? 1u << 6 : 0u));
  if (!compact) put(text + header, data);
  for (std::size_t i = 0; i < characters.size(); ++i)
    memcpy(reinterpret_cast<void*>(data + i * width), &characters[i], width);
  return text;
}

std::uint64_t FakePython::text(const std::u32string& characters) {
  return make_text(characters, /*compact=*/true);
}
std::uint64_t FakePython::derived_text(const std::u32string& characters) {
  return make_text(characters, /*compact=*/false);
}

std::uint64_t FakePython::bytes(const std::string& content) {
  const std::uint64_t object = take(kBytesData + content.size() + 1);
  put(object + kObjectType, bytes_type_);
  put(object + kObjectSize, std::uint64_t{content.size()});
  memcpy(reinterpret_cast<void*>(object + kBytesData), content.data(), content.size());
  return object;
}

std::uint64_t FakePython::code(const std::u32string& name, const std::u32string& file,
                               std::uint32_t first_line, const std::string& line_table) {
  const std::uint64_t code = take(layout_.code_bytes + std::size_t{400});
  put(code + kObjectType, code_type_);
  put(code + layout_.plain_name, text(name));
  if (layout_.name != layout_.plain_name) put(code + layout_.name, text(U"Class." + name));
  put(code + layout_.file_name, text(file));
  put(code + layout_.line_table, bytes(line_table));
  put(code + layout_.first_line, first_line);
  put(code + layout_.flags, std::uint32_t{0x43});
  return code;
}

std::uint64_t FakePython::frame_of(const FakeFrame& frame) {
  const std::uint64_t at = take(kMostFrame);
  put(at + layout_.code, frame.code);
  switch (layout_.instruction_kind) {
    case PythonInstruction::kLastBytes:
      put(at + layout_.instruction, static_cast<std::int32_t>(frame.instruction * 2));
      break;
    case PythonInstruction::kLastWords:
      put(at + layout_.instruction, static_cast<std::int32_t>(frame.instruction));
      break;
    case PythonInstruction::kPointer:
      put(at + layout_.instruction, frame.code + layout_.code_bytes + std::uint64_t{frame.instruction} * 2);
  }
  if (layout_.entry_kind == PythonEntry::kFlag) put(at + layout_.entry, std::uint8_t{frame.entry});
  if (layout_.entry_kind == PythonEntry::kShim)
    put(at + layout_.entry, frame.shim ? kPythonShimOwner : std::uint8_t{0});
  return at;
}

std::uint64_t FakePython::thread_state(const std::vector<FakeFrame>& frames) {
  const std::uint64_t state = take(kStateBytes);
  std::uint64_t previous = 0;
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    const std::uint64_t at = frame_of(*frame);
    put(at + layout_.previous, previous);
    previous = at;
  }
  if (layout_.cframe_current != kNoOffset) {
    const std::uint64_t cframe = take(32);
    put(cframe + layout_.cframe_current, previous);
    previous = cframe;
  }
  put(state + layout_.top_frame, previous);
  put(state + layout_.thread_id, static_cast<std::uint64_t>(pthread_self()));
  if (layout_.native_thread_id != kNoOffset)
    put(state + layout_.native_thread_id, static_cast<std::uint64_t>(sys::thread_id()));
  if (layout_.status != kNoOffset) put(state + layout_.status, std::uint32_t{layout_.status_attached});
  return state;
}

GuardHere::GuardHere() {
  for (const int signal : kFaultSignals) {
    KernelAction front{};
    front.handler = reinterpret_cast<void*>(siprof_fault_entry);
    front.flags = SA_SIGINFO | kRestorerFlag;
    front.restorer = siprof_restore_rt;
    KernelAction before{};
    kernel_sigaction(signal, nullptr, &before);
    keep_fault_action(signal, before);
    kernel_sigaction(signal, &front, nullptr);
  }
}

GuardHere::~GuardHere() {
  for (const int signal : kFaultSignals) {
    const KernelAction before = fault_action(signal);
    kernel_sigaction(signal, &before, nullptr);
  }
}

}  // namespace siprof::shim
