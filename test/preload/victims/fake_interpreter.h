// SPDX-License-Identifier: Apache-2.0
// Has siprof take this program for one with a Python interpreter, whose frames end at a page that can't be
// read: every sample meets a fault. Without siprof it does nothing.
#pragma once

#include <pthread.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <new>

#include "proto/siprof/shared_memory.h"
#include "test/preload/victims/victim.h"

namespace victim {

inline siprof::SharedHeader* shared_header() {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return nullptr;
  char line[512];
  unsigned long start = 0;
  while (start == 0 && fgets(line, sizeof line, maps) != nullptr) {
    if (strstr(line, "memfd:siprof") != nullptr && strstr(line, " rw-s") != nullptr)
      sscanf(line, "%lx", &start);
  }
  fclose(maps);
  return reinterpret_cast<siprof::SharedHeader*>(start);
}

// As the layout below has it, in words. The frame's code is `code`, its caller isn't to be read.
struct FakeThread {
  uint64_t state[64];
  uint64_t frame[16];
};
inline thread_local FakeThread t_fake_thread;
inline char* g_unreadable = nullptr;

inline siprof::PythonLayout fake_layout() {
  siprof::PythonLayout layout{};
  layout.version = 0x030d;
  layout.instruction_kind = siprof::PythonInstruction::kPointer;
  layout.entry_kind = siprof::PythonEntry::kShim;
  layout.top_frame = 72;
  layout.cframe_current = layout.cframe_previous = siprof::kNoOffset;
  layout.thread_id = 152;
  layout.native_thread_id = 160;
  layout.status = 32;
  layout.status_attached = 16;
  layout.code = 0;
  layout.previous = 8;
  layout.instruction = 56;
  layout.entry = 70;
  layout.code_bytes = 200;
  layout.file_name = 112;
  layout.name = layout.plain_name = 120;
  layout.line_table = 136;
  layout.first_line = 68;
  layout.flags = 48;
  layout.ascii_data = 40;
  layout.compact_data = 56;
  return layout;
}

// Objects of types that say what siprof asks of them, 64 words each.
enum Object { kCodeType, kTextType, kBytesType, kMembers, kCode, kName, kFile, kTable, kObjects };
inline uint64_t g_objects[kObjects][64];

inline uint64_t address_of(Object object) {
  return reinterpret_cast<uint64_t>(g_objects[object]);
}

inline void make_text(Object object, const char* text) {
  g_objects[object][1] = address_of(kTextType);
  g_objects[object][2] = strlen(text);
  g_objects[object][4] = 1 << 2 | 1 << 5 | 1 << 6;
  strcpy(reinterpret_cast<char*>(&g_objects[object][5]), text);
}

inline void make_objects() {
  const struct {
    const char* name;
    uint64_t offset;
  } members[] = {{"co_filename", 112},
                 {"co_name", 120},
                 {"co_firstlineno", 68},
                 {"co_linetable", 136},
                 {"co_flags", 48}};
  uint64_t* member = g_objects[kMembers];
  for (const auto& [name, offset] : members) {
    member[0] = reinterpret_cast<uint64_t>(name);
    member[2] = offset;
    member += 5;
  }
  g_objects[kCodeType][32 / 8] = 200;
  g_objects[kCodeType][240 / 8] = address_of(kMembers);
  g_objects[kTextType][168 / 8] = 1 << 28;
  g_objects[kBytesType][168 / 8] = 1 << 27;
  g_objects[kTable][1] = address_of(kBytesType);
  uint64_t* code = g_objects[kCode];
  code[1] = address_of(kCodeType);
  code[112 / 8] = address_of(kFile);
  code[120 / 8] = address_of(kName);
  code[136 / 8] = address_of(kTable);
  make_text(kName, "fake_function");
  make_text(kFile, "/app/fake.py");
  g_unreadable = static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

inline uint64_t this_thread_state() {
  return reinterpret_cast<uint64_t>(&t_fake_thread);
}

// Of the calling thread: it has Python frames from here on.
inline void enter_python() {
  FakeThread& fake = t_fake_thread;
  fake.frame[0] = address_of(kCode);
  fake.frame[7] = address_of(kCode) + 200;
  fake.frame[1] = reinterpret_cast<uint64_t>(g_unreadable);
  fake.state[152 / 8] = reinterpret_cast<uint64_t>(pthread_self());
  fake.state[32 / 8] = 16;
  fake.state[72 / 8] = reinterpret_cast<uint64_t>(fake.frame);
}

inline void show_python(siprof::SharedHeader* header, uint32_t generation) {
  siprof::PythonView& view = header->python;
  view.generation.store(0);
  view.unmap_generation.store(header->unmaps_begun.load());
  view.this_thread_state = reinterpret_cast<uint64_t>(this_thread_state);
  view.current_state = 0;
  view.is_finalizing = 0;
  view.code_type = address_of(kCodeType);
  view.layout = fake_layout();
  view.generation.store(generation);
}

inline uint64_t walks(const siprof::SharedHeader* header) {
  return header->counters[static_cast<uint32_t>(siprof::Counter::python_walked)].load();
}

// Returns when samples have met some faults; at once when there is no siprof.
inline void become_python() {
  make_objects();
  enter_python();
  const char* preloaded = getenv("LD_PRELOAD");
  if (preloaded == nullptr || strstr(preloaded, "libsiprof") == nullptr) return;
  siprof::SharedHeader* header = nullptr;
  for (int i = 0; i < 400 && header == nullptr; ++i) {
    burn_ms(10);
    header = shared_header();
  }
  require(header != nullptr, "no shared memory of siprof's");
  show_python(header, 1000);
  for (int i = 0; i < 400 && walks(header) < 3; ++i) burn_ms(10);
  require(walks(header) >= 3, "no walk");
}

// For the case: without some walks it has tried nothing.
inline void note_walks() {
  if (const siprof::SharedHeader* header = shared_header())
    note_fact("walks", static_cast<int64_t>(walks(header)));
}

}  // namespace victim
