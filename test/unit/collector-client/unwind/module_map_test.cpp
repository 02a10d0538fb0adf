// SPDX-License-Identifier: Apache-2.0
// Maps texts, real and broken; files that were replaced; modules shared between processes.
#include "collector-client/unwind/module_map.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "test/unit/collector-client/unwind/self_capture.h"

namespace siprof::client {
namespace {

namespace fs = std::filesystem;

const std::shared_ptr<FileOpener> kOpener = std::make_shared<testing::PlainOpener>();

// A copy of a file mapped executable, from `offset` on; unmapped and removed at the end.
class MappedFile {
 public:
  explicit MappedFile(const std::string& from, std::uint64_t offset = 0) {
    std::string name = (fs::temp_directory_path() / "siprof-map-XXXXXX").string();
    const UniqueFd fd(mkstemp(name.data()));
    path_ = name;
    fs::copy_file(from, path_, fs::copy_options::overwrite_existing);
    size_ = fs::file_size(path_) - offset;
    const UniqueFd again(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    start_ =
        mmap(nullptr, size_, PROT_READ | PROT_EXEC, MAP_PRIVATE, again.get(), static_cast<off_t>(offset));
    REQUIRE(start_ != MAP_FAILED);
  }
  ~MappedFile() {
    munmap(start_, size_);
    fs::remove(path_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const std::string& path() const { return path_; }
  std::uint64_t start() const { return reinterpret_cast<std::uint64_t>(start_); }

 private:
  std::string path_;
  std::size_t size_ = 0;
  void* start_ = nullptr;
};

std::string own_library() {
  Dl_info libc{};
  REQUIRE(dladdr(dlsym(RTLD_DEFAULT, "qsort"), &libc) != 0);
  return fs::canonical(libc.dli_fname).string();
}

// Where its code begins.
std::uint64_t code_offset(const std::string& path) {
  const auto image = ElfImage::open(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), nullptr);
  REQUIRE(image.ok());
  for (const Segment& segment : (*image)->segments()) {
    if (segment.executable) return segment.file_offset;
  }
  FAIL(path << " has no code");
  return 0;
}

}  // namespace

TEST_CASE("A maps line is taken apart") {
  const auto line = parse_maps_line("7f12-7f34 r-xp 00001000 fd:02 12345   /usr/lib/a b.so (deleted)");
  REQUIRE(line);
  CHECK(line->start == 0x7f12);
  CHECK(line->end == 0x7f34);
  CHECK(line->executable);
  CHECK(line->file_offset == 0x1000);
  CHECK(line->device == makedev(0xfd, 2));
  CHECK(line->inode == 12345);
  CHECK(line->path == "/usr/lib/a b.so (deleted)");
  const auto anonymous = parse_maps_line("1000-2000 rw-p 00000000 00:00 0 ");
  REQUIRE(anonymous);
  CHECK_FALSE(anonymous->executable);
  CHECK(anonymous->path.empty());
}

TEST_CASE("Broken maps lines are refused") {
  for (const char* text :
       {"", "x", "1000-", "1000-2000", "1000-2000 r-xp", "1000-2000 r-xp 0 0:0", "2000-1000 r-xp 0 0:0 0",
        "1000-2000 r-x 0 0:0 0", "11111111111111111-2 r-xp 0 0:0 0", "-1000-2000 r-xp 0 0:0 0 "}) {
    INFO(text);
    CHECK_FALSE(parse_maps_line(text));
  }
}

TEST_CASE("Random texts never crash the parser and are counted") {
  ModuleCache cache;
  ModuleMap map(cache, kOpener);
  const std::string real = testing::own_maps();
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::string text = real.substr(0, 2000);
    for (int i = 0; i < 20; ++i) text[random() % text.size()] = static_cast<char>(random());
    map.update(text);
    for (int i = 0; i < 50; ++i) map.locate(random() * 0x100000001ull);
  }
  CHECK(map.malformed_lines() > 0);
}

TEST_CASE("Addresses of this process are found in their files") {
  ModuleCache cache;
  ModuleMap map(cache, kOpener);
  REQUIRE(map.update(testing::own_maps()));
  Dl_info info{};
  void* function = dlsym(RTLD_DEFAULT, "qsort");
  REQUIRE(dladdr(function, &info) != 0);
  const CodeAddress address = map.locate(reinterpret_cast<std::uint64_t>(function));
  REQUIRE(address.module != nullptr);
  CHECK(fs::canonical(address.module->path) == fs::canonical(info.dli_fname));
  CHECK(address.address ==
        reinterpret_cast<std::uint64_t>(function) - reinterpret_cast<std::uint64_t>(info.dli_fbase));
  CHECK(address.module->build_id.size() == 40);
  CHECK(address.module->text_end > address.module->text_start);
  CHECK(map.locate(8).module == nullptr);
}

TEST_CASE("The same text changes nothing, a mapping that comes or goes does") {
  ModuleCache cache;
  ModuleMap map(cache, kOpener);
  const std::string before = testing::own_maps();
  CHECK(map.update(before));
  CHECK_FALSE(map.update(before));
  const std::uint64_t generation = map.generation();
  std::uint64_t at = 0;
  {
    const MappedFile file(own_library());
    at = file.start();
    CHECK(map.update(testing::own_maps()));
    REQUIRE(map.find(at) != nullptr);
  }
  CHECK(map.update(testing::own_maps()));
  CHECK(map.find(at) == nullptr);
  CHECK(map.generation() == generation + 2);
}

TEST_CASE("Copies of one file in two processes are one module") {
  ModuleCache cache;
  ModuleMap first(cache, kOpener);
  ModuleMap second(cache, kOpener);
  const MappedFile a(own_library(), code_offset(own_library()));
  const MappedFile b(own_library(), code_offset(own_library()));
  first.update(testing::own_maps());
  second.update(testing::own_maps());
  REQUIRE(first.find(a.start()) != nullptr);
  REQUIRE(first.find(a.start())->module != nullptr);
  CHECK(first.find(a.start())->module == first.find(b.start())->module);
  CHECK(first.find(a.start())->module == second.find(b.start())->module);
}

TEST_CASE("Files with one build-id and another layout are two modules") {
  ModuleCache cache;
  ModuleMap map(cache, kOpener);
  const MappedFile original(own_library(), code_offset(own_library()));
  const std::string edited_path = original.path() + ".edited";
  fs::copy_file(original.path(), edited_path);
  {
    // As patchelf and its like leave the id: the last segment becomes one byte longer.
    std::fstream file(edited_path, std::ios::in | std::ios::out | std::ios::binary);
    Elf64_Ehdr header;
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    const auto at =
        header.e_phoff + (header.e_phnum - 1u) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_memsz);
    std::uint64_t bytes = 0;
    file.seekg(static_cast<std::streamoff>(at));
    file.read(reinterpret_cast<char*>(&bytes), sizeof bytes);
    ++bytes;
    file.seekp(static_cast<std::streamoff>(at));
    file.write(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    REQUIRE(file.good());
  }
  const MappedFile edited(edited_path, code_offset(edited_path));
  fs::remove(edited_path);
  map.update(testing::own_maps());
  const Module* one = map.find(original.start())->module;
  const Module* other = map.find(edited.start())->module;
  REQUIRE((one != nullptr && other != nullptr));
  CHECK(one->build_id == other->build_id);
  CHECK(one != other);
  CHECK(one->image->cache_key() != other->image->cache_key());
}

TEST_CASE("A file that was replaced or deleted since it was mapped is never read") {
  for (const bool replaced : {true, false}) {
    ModuleCache cache;
    ModuleMap map(cache, kOpener);
    const MappedFile file(own_library());
    const std::string other = file.path() + ".new";
    fs::copy_file("/proc/self/exe", other);
    if (replaced) fs::rename(other, file.path());
    if (!replaced) fs::remove(file.path());
    map.update(testing::own_maps());
    REQUIRE(map.find(file.start()) != nullptr);
    REQUIRE(map.find(file.start())->module != nullptr);
    CHECK(map.find(file.start())->module->image == nullptr);
    CHECK(map.find(file.start())->module->path == file.path());
    const std::map<std::string, std::uint64_t> expected = {
        {replaced ? "modules_replaced" : "modules_unopened", 1}};
    CHECK(cache.failures() == expected);
    fs::remove(other);
  }
}

// Their names are a profile's counters, so there is a handful of them, whatever the files are called.
TEST_CASE("A mapped file that is no program is counted once for each process that maps it") {
  const std::string name = (fs::temp_directory_path() / ("siprof-text-" + std::to_string(getpid()))).string();
  std::ofstream(name) << std::string(5000, 'x');
  ModuleCache cache;
  for (std::uint64_t processes = 1; processes <= 3; ++processes) {
    const MappedFile file(name);
    ModuleMap map(cache, kOpener);
    map.update(testing::own_maps());
    map.update(testing::own_maps());
    CHECK(cache.failures().at("modules_unreadable") == processes);
  }
  CHECK(cache.failures().size() == 1);
  fs::remove(name);
}

TEST_CASE("Images are closed only when no process uses them") {
  ModuleCache cache(/*max_idle_images=*/0);
  const std::string text = testing::own_maps();
  {
    ModuleMap map(cache, kOpener);
    map.update(text);
    const std::size_t open = cache.open_images();
    CHECK(open > 1);
    cache.trim(cache.moment());
    CHECK(cache.open_images() == open);
  }
  cache.trim(cache.moment());
  CHECK(cache.open_images() == 0);
  ModuleMap again(cache, kOpener);
  again.update(text);
  CHECK(cache.open_images() > 1);
}

TEST_CASE("Files that nobody uses any more are forgotten, those that came later aren't") {
  ModuleCache cache(/*max_idle_images=*/0);
  const std::string text = testing::own_maps();
  { ModuleMap(cache, kOpener).update(text); }
  const std::size_t known = cache.size();
  CHECK(known > 1);
  const std::uint64_t before = cache.moment();
  { ModuleMap(cache, kOpener).update(text); }  // of a window that isn't finished
  cache.trim(before);
  CHECK(cache.idle_since(before).empty());
  const std::uint64_t now = cache.moment();
  cache.trim(now);
  const auto idle = cache.idle_since(now);
  CHECK(idle.size() == known);
  cache.evict(idle);
  CHECK(cache.size() == 0);
  ModuleMap again(cache, kOpener);
  again.update(text);
  CHECK(cache.size() == known);
  CHECK(cache.open_images() > 1);
}

TEST_CASE("Thirty thousand lines are read in a fraction of a second") {
  std::string text = testing::own_maps();
  for (int i = 0; i < 30000; ++i) {
    char line[128];
    std::snprintf(line, sizeof line, "%lx-%lx rw-p 00000000 00:00 0 \n", 0xff0000000000 + i * 0x2000ul,
                  0xff0000001000 + i * 0x2000ul);
    text += line;
  }
  ModuleCache cache;
  ModuleMap map(cache, kOpener);
  map.update(text);
  const auto start = std::chrono::steady_clock::now();
  map.update(text);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(250));
  CHECK(map.mappings().size() > 3);
}

}  // namespace siprof::client
