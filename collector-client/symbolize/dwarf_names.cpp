// SPDX-License-Identifier: Apache-2.0
// See dwarf_names.h.
#include "collector-client/symbolize/dwarf_names.h"

#include <dwarf.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector-client/symbolize/demangle.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

constexpr int kMaxTypeDepth = 16;
constexpr int kMaxParameters = 64;

std::string attribute_text(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  const char* text = dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
  return text != nullptr ? text : "";
}

bool is_cplusplus(Dwarf_Die* die) {
  Dwarf_Die unit;
  if (dwarf_diecu(die, &unit, nullptr, nullptr) == nullptr) return false;
  switch (dwarf_srclang(&unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
      return true;
    default:
      return false;
  }
}

// The declaration in its scope that a concrete or inlined function stands for.
Dwarf_Die origin_of(Dwarf_Die die) {
  for (int i = 0; i < kMaxTypeDepth; ++i) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    const bool more = dwarf_attr(&die, DW_AT_abstract_origin, &attribute) != nullptr ||
                      dwarf_attr(&die, DW_AT_specification, &attribute) != nullptr;
    if (!more || dwarf_formref_die(&attribute, &next) == nullptr) break;
    die = next;
  }
  return die;
}

std::string parameter_types(Dwarf_Die* function, int depth);

// A lambda's class has no name; its operator() tells the parameters. The demangler adds a number,
// which DWARF does not have.
std::string unnamed_class(Dwarf_Die* scope) {
  Dwarf_Die child;
  if (dwarf_child(scope, &child) != 0) return "{unnamed}";
  do {
    const char* name = dwarf_diename(&child);
    const bool call =
        dwarf_tag(&child) == DW_TAG_subprogram && name != nullptr && std::string_view(name) == "operator()";
    if (call) return absl::StrCat("{lambda", parameter_types(&child, 0), "}");
  } while (dwarf_siblingof(&child, &child) == 0);
  return "{unnamed}";
}

// Adds one enclosing scope to `prefix`. A function is a scope too, for what is local to it.
void enter_scope(Dwarf_Die* scope, std::string& prefix) {
  const char* name = dwarf_diename(scope);
  switch (dwarf_tag(scope)) {
    case DW_TAG_namespace:
      absl::StrAppend(&prefix, name != nullptr ? name : "(anonymous namespace)", "::");
      break;
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
      absl::StrAppend(&prefix, name != nullptr ? name : unnamed_class(scope), "::");
      break;
    case DW_TAG_subprogram:
      prefix = absl::StrCat(function_name(scope).name, "::");
      break;
    default:
      break;
  }
}

// "ns::Class::" of a function or type. elfutils finds parents by walking the unit, so
// this is done once per distinct function.
std::string scope_of(Dwarf_Die* die) {
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes_die(die, &scopes);
  const std::unique_ptr<Dwarf_Die, void (*)(void*)> owner(scopes, std::free);
  std::string prefix;
  for (int i = count - 1; i > 0; --i) enter_scope(&scopes[i], prefix);
  return prefix;
}

std::string type_name(Dwarf_Die* holder, int depth);

std::string with_suffix(Dwarf_Die* type, int depth, std::string_view suffix) {
  return absl::StrCat(type_name(type, depth + 1), absl::string_view(suffix.data(), suffix.size()));
}

std::string parameter_types(Dwarf_Die* function, int depth) {
  std::vector<std::string> types;
  Dwarf_Die child;
  if (dwarf_child(function, &child) != 0) return "()";
  do {
    if (dwarf_tag(&child) == DW_TAG_unspecified_parameters) types.push_back("...");
    if (dwarf_tag(&child) != DW_TAG_formal_parameter || dwarf_hasattr(&child, DW_AT_artificial) != 0)
      continue;
    types.push_back(type_name(&child, depth + 1));
  } while (types.size() < kMaxParameters && dwarf_siblingof(&child, &child) == 0);
  return absl::StrCat("(", absl::StrJoin(types, ", "), ")");
}

// The type that `holder`'s DW_AT_type names, written as the demangler does: "char const*".
std::string type_name(Dwarf_Die* holder, int depth) {
  Dwarf_Attribute attribute;
  Dwarf_Die type;
  if (dwarf_attr_integrate(holder, DW_AT_type, &attribute) == nullptr) return "void";
  if (depth > kMaxTypeDepth || dwarf_formref_die(&attribute, &type) == nullptr) return "?";
  switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type: {
      Dwarf_Attribute target;
      Dwarf_Die pointed;
      const bool function = dwarf_attr(&type, DW_AT_type, &target) != nullptr &&
                            dwarf_formref_die(&target, &pointed) != nullptr &&
                            dwarf_tag(&pointed) == DW_TAG_subroutine_type;
      if (function)
        return absl::StrCat(type_name(&pointed, depth + 1), " (*)", parameter_types(&pointed, depth + 1));
      return with_suffix(&type, depth, "*");
    }
    case DW_TAG_reference_type:
      return with_suffix(&type, depth, "&");
    case DW_TAG_rvalue_reference_type:
      return with_suffix(&type, depth, "&&");
    case DW_TAG_const_type:
      return with_suffix(&type, depth, " const");
    case DW_TAG_volatile_type:
      return with_suffix(&type, depth, " volatile");
    case DW_TAG_typedef:  // a parameter's type is part of the linkage name without its typedefs
    case DW_TAG_restrict_type:
      return type_name(&type, depth + 1);
    default: {
      const char* name = dwarf_diename(&type);
      const bool base = dwarf_tag(&type) == DW_TAG_base_type;
      return absl::StrCat(base ? "" : scope_of(&type), name != nullptr ? name : "{unnamed}");
    }
  }
}

// GCC's names of base types, as the demangler writes them.
std::string demangler_spelling(std::string name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kSpellings = {{
      {"long unsigned int", "unsigned long"},
      {"long long int", "long long"},
      {"short int", "short"},
      {"long int", "long"},
  }};
  for (const auto& [from, to] : kSpellings) {
    for (std::size_t at; (at = name.find(from)) != std::string::npos;) name.replace(at, from.size(), to);
  }
  return name;
}

}  // namespace

FunctionName function_name(Dwarf_Die* function) {
  std::string linkage = attribute_text(function, DW_AT_linkage_name);
  if (linkage.empty()) linkage = attribute_text(function, DW_AT_MIPS_linkage_name);
  if (!linkage.empty()) return {demangle(linkage), linkage.substr(0, kMaxNameBytes)};
  const std::string plain = attribute_text(function, DW_AT_name);
  Dwarf_Die origin = origin_of(*function);
  if (plain.empty() || !is_cplusplus(&origin) || plain == "main") return {plain, plain};
  Dwarf_Attribute external;
  // extern "C": visible to the linker, yet without a mangled name.
  if (dwarf_attr(&origin, DW_AT_external, &external) != nullptr) return {plain, plain};
  std::string name = scope_of(&origin) + plain + demangler_spelling(parameter_types(&origin, 0));
  if (name.size() > kMaxNameBytes) name.resize(kMaxNameBytes);
  return {std::move(name), plain};
}

}  // namespace siprof::client
