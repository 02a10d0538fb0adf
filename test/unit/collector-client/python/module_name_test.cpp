// SPDX-License-Identifier: Apache-2.0
// Modules by the files that code says it is of.
#include "collector-client/python/module_name.h"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <set>

namespace siprof::client {
namespace {

// Folders with an __init__.py.
class Packages : public FileOpener {
 public:
  explicit Packages(std::set<std::string> folders) : folders_(std::move(folders)) {}
  absl::StatusOr<int> open(const std::string& path, std::uint64_t, std::uint64_t) override {
    ++opened;
    for (const std::string& folder : folders_)
      if (path == folder + "/__init__.py") return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return absl::NotFoundError(path);
  }
  int opened = 0;

 private:
  std::set<std::string> folders_;
};

std::string name_of(std::string_view file, std::set<std::string> packages = {}) {
  PackageFolders folders(std::make_shared<Packages>(std::move(packages)));
  return module_name(file, folders);
}

TEST_CASE("the standard library and installed packages are named from where Python looks for them") {
  CHECK(name_of("/usr/lib/python3.11/json/decoder.py") == "json.decoder");
  CHECK(name_of("/usr/lib64/python3.9/threading.py") == "threading");
  CHECK(name_of("/opt/py/lib/python3.13t/asyncio/__init__.py") == "asyncio");
  CHECK(name_of("/usr/lib/python3/dist-packages/yaml/loader.py") == "yaml.loader");
  // No folder of it has an __init__.py.
  CHECK(name_of("/srv/venv/lib/python3.12/site-packages/google/cloud/storage/blob.py") ==
        "google.cloud.storage.blob");
  CHECK(name_of("/srv/python3.12/tool.py") == "tool");
}

TEST_CASE("archives are looked into as Python does") {
  CHECK(name_of("/usr/lib/python311.zip/json/decoder.py") == "json.decoder");
  CHECK(name_of("/srv/app.pyz/shop/__main__.py") == "shop.__main__");
}

TEST_CASE("elsewhere a name begins at the outermost package") {
  const std::set<std::string> packages = {"/srv/app/shop", "/srv/app/shop/orders", "/srv/other"};
  CHECK(name_of("/srv/app/shop/orders/total.py", packages) == "shop.orders.total");
  CHECK(name_of("/srv/app/shop/orders/__init__.py", packages) == "shop.orders");
  CHECK(name_of("/srv/app/main.py", packages) == "main");
  CHECK(name_of("/main.py", packages) == "main");
  CHECK(name_of("/srv/app/my-script.py") == "my-script");
  CHECK(name_of("/srv/app/compiled.pyc") == "compiled");
  CHECK(name_of("/srv/app/script") == "script");
}

TEST_CASE("relative paths say what they say") {
  CHECK(name_of("work.py") == "work");
  CHECK(name_of("./shop/work.py") == "shop.work");
  CHECK(name_of("../shop/work.py") == "work");
  CHECK(name_of("") == "");
  CHECK(name_of("/") == "");
}

TEST_CASE("code without a file goes by what it says") {
  CHECK(name_of("<frozen importlib._bootstrap>") == "importlib._bootstrap");
  CHECK(name_of("<string>") == "<string>");
  CHECK(name_of("<attrs generated init shop.Order>") == "<attrs generated init shop.Order>");
  CHECK(name_of("<frozen ") == "<frozen ");
}

TEST_CASE("a folder is looked into once, and not more than some thousand of them") {
  const auto opener = std::make_shared<Packages>(std::set<std::string>{"/a"});
  PackageFolders folders(opener);
  for (int i = 0; i < 3; ++i) CHECK(module_name("/a/x.py", folders) == "a.x");
  CHECK(opener->opened == 1);
  for (int i = 0; i < 10'000; ++i) module_name("/" + std::to_string(i) + "/x.py", folders);
  CHECK(opener->opened == 4096);
}

TEST_CASE("a module and a qualified name are one") {
  CHECK(python_function_name("json.decoder", "JSONDecoder.decode") == "json.decoder.JSONDecoder.decode");
  CHECK(python_function_name("", "f") == "f");
  CHECK(python_function_name("m", "") == "m");
}

}  // namespace
}  // namespace siprof::client
