// SPDX-License-Identifier: Apache-2.0
// See lasting_modules.h.
#include "collector-client/unwind/lasting_modules.h"

#include <gelf.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector-client/symbolize/elf_image.h"

namespace siprof::client {
namespace {

struct Dynamic {
  std::string name;
  std::vector<std::string> needed;
};

Dynamic read_dynamic(const Module& module) {
  Dynamic out{module.path.substr(module.path.rfind('/') + 1), {}};
  Elf* elf = module.image != nullptr ? module.image->elf() : nullptr;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNAMIC) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    GElf_Dyn entry;
    for (int i = 0; data != nullptr && gelf_getdyn(data, i, &entry) != nullptr && entry.d_tag != DT_NULL;
         ++i) {
      if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME) continue;
      const char* text = elf_strptr(elf, header.sh_link, entry.d_un.d_val);
      if (text == nullptr) continue;
      if (entry.d_tag == DT_NEEDED)
        out.needed.emplace_back(text);
      else
        out.name = text;
    }
  }
  return out;
}

}  // namespace

absl::flat_hash_set<const Module*> lasting_modules(const ModuleMap& map, const Module* executable) {
  absl::flat_hash_map<const Module*, Dynamic> all;
  absl::flat_hash_map<std::string, const Module*> by_name;
  absl::flat_hash_set<const Module*> lasting;
  for (const CodeMapping& mapping : map.mappings()) {
    if (mapping.module == nullptr) continue;
    if (mapping.module->path == "[vdso]") lasting.insert(mapping.module);
    const auto [known, is_new] = all.try_emplace(mapping.module);
    if (!is_new) continue;
    known->second = read_dynamic(*mapping.module);
    by_name.emplace(known->second.name, mapping.module);
  }
  std::vector<const Module*> found;
  if (executable != nullptr) found.push_back(executable);
  while (!found.empty()) {
    const Module* module = found.back();
    found.pop_back();
    if (!lasting.insert(module).second) continue;
    for (const std::string& name : all[module].needed) {
      if (const auto library = by_name.find(name); library != by_name.end()) found.push_back(library->second);
    }
  }
  return lasting;
}

}  // namespace siprof::client
