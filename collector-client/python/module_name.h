// SPDX-License-Identifier: Apache-2.0
// By which name Python programs import the file that a function is in.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "collector-client/symbolize/file_opener.h"

namespace siprof::client {

// Whether folders are packages, as one process sees them; each is looked into once. One thread.
class PackageFolders {
 public:
  // `opener` may be null: no folder is one.
  explicit PackageFolders(std::shared_ptr<FileOpener> opener) : opener_(std::move(opener)) {}

  // Whether there is an __init__.py. The names come from the process: beyond some thousand folders it is
  // none.
  bool is_package(const std::string& folder);

 private:
  std::shared_ptr<FileOpener> opener_;
  std::map<std::string, bool, std::less<>> known_;
};

// "json.decoder" for /usr/lib/python3.11/json/decoder.py: the path from where Python looks for modules. That
// is known for the standard library, site-packages and archives; elsewhere it is the innermost folder that
// isn't a package. A script goes by its file's name, not by "__main__": it has the same name where others
// import it. "importlib._bootstrap" for "<frozen importlib._bootstrap>"; "<string>" and the like stay as they
// are. Empty for an empty path.
std::string module_name(std::string_view file, PackageFolders& folders);

// As a profile names it: "json.decoder.JSONDecoder.decode", or one of both where the other is empty.
std::string python_function_name(std::string_view module, std::string_view qualified_name);

}  // namespace siprof::client
