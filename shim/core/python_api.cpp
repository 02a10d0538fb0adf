// SPDX-License-Identifier: Apache-2.0
#include "shim/core/python_api.h"

#include <link.h>

#include "shim/base/elf_lookup.h"
#include "shim/base/text.h"
#include "shim/core/late_symbol.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {

constinit PythonApi g_python{};

namespace {

enum class Found {
  kNotLooked,
  kNot,      // not among what the program started with
  kForGood,  // there
  kOpened,   // later: gone when code is unmapped
};
constinit Found g_found = Found::kNotLooked;
constinit std::uint32_t g_generation = 0;  // of unmappings, when it was found

// By field of PythonApi: what it is, its name and that of older versions, a zero.
constexpr char kNames[] =
#define SIPROF_PYTHON_FUNCTION(result, field, parameters, name) "f" name "\0"
#define SIPROF_PYTHON_OPTIONAL(result, field, parameters, name) "o" name "\0"
#define SIPROF_PYTHON_VARIABLE(type, field, name) "v" name "\0"
#include "shim/core/python_api.def"
#undef SIPROF_PYTHON_VARIABLE
#undef SIPROF_PYTHON_OPTIONAL
#undef SIPROF_PYTHON_FUNCTION
    ;

// The names are alternatives, with '|' between them.
void* find_one_of(std::uint64_t bias, const void* dynamic, bool variable, const char* names) {
  while (*names != '\0') {
    char name[64];
    TextBuffer text(name, sizeof(name));
    while (*names != '\0' && *names != '|') text.add(names++, 1);
    if (*names == '|') ++names;
    void* found = variable ? variable_in(bias, dynamic, name) : defined_in(bias, dynamic, name);
    if (found != nullptr) return found;
  }
  return nullptr;
}

// False: something is missing.
bool fill(PythonApi* api, std::uint64_t bias, const void* dynamic) {
  void** field = reinterpret_cast<void**>(api);  // pointers all, in the order of the names
  for (const char* row = kNames; *row != '\0'; row += length(row) + 1, ++field) {
    *field = find_one_of(bias, dynamic, *row == 'v', row + 1);
    if (*field == nullptr && *row != 'o') return false;
  }
  return true;
}

bool look_in(std::uint64_t bias, const void* dynamic) {
  if (defined_in(bias, dynamic, "Py_AddPendingCall") == nullptr) return false;
  PythonApi api;
  if (!fill(&api, bias, dynamic)) return false;
  g_python = api;
  return true;
}

int look_in_module(dl_phdr_info* module, std::size_t, void*) {
  const void* dynamic = nullptr;
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    if (module->dlpi_phdr[i].p_type == PT_DYNAMIC)
      dynamic = reinterpret_cast<const void*>(module->dlpi_addr + module->dlpi_phdr[i].p_vaddr);
  }
  return look_in(module->dlpi_addr, dynamic) ? 1 : 0;
}

bool is_known() {
  return g_found == Found::kForGood || (g_found == Found::kOpened && g_generation == unmap_generation());
}

}  // namespace

bool python_is_up() {
  return is_known() && g_python.is_initialized() != 0;
}

bool find_python_api(bool among_opened) {
  if (is_known()) return true;
  if (g_found == Found::kNotLooked && find_module(modules_of_start(), look_in)) {
    g_found = Found::kForGood;
    return true;
  }
  g_found = Found::kNot;
  const std::uint32_t generation = unmap_generation();
  if (!among_opened || generation == kUnmapping) return false;
  if (dl_iterate_phdr(look_in_module, nullptr) == 0) return false;
  g_generation = generation;
  g_found = Found::kOpened;
  return is_known();
}

}  // namespace siprof::shim
