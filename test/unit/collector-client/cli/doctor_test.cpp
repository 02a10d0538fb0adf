// SPDX-License-Identifier: Apache-2.0
// Why a command would not be profiled.
#include "collector-client/cli/doctor.h"

#include <elf.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>

#include "collector-client/base/file_io.h"
#include "collector-client/cli/elf_check.h"

namespace siprof::client {
namespace {

class Folder {
 public:
  Folder() { REQUIRE(::mkdtemp(path_) != nullptr); }
  ~Folder() { (void)std::system(("rm -r " + std::string(path_)).c_str()); }
  std::string file(const std::string& name, const std::string& text, mode_t mode = 0755) const {
    const std::string path = std::string(path_) + "/" + name;
    REQUIRE(write_file_atomically(path, text).ok());
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/siprof-doctor-XXXXXX";
};

DoctorFacts usual(Environment more = {}) {
  DoctorFacts facts{std::move(more), 1000, 1000, std::string("/lib/libsiprof.so")};
  facts.environment.emplace("PATH", "/usr/bin:/bin");
  return facts;
}

// A minimal program whose loader is `loader`; empty: none.
std::string elf(const std::string& loader, unsigned machine = EM_X86_64, unsigned char bits = ELFCLASS64) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = bits;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = static_cast<Elf64_Half>(machine);
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = loader.empty() ? PT_LOAD : PT_INTERP;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = loader.size() + 1;
  std::string bytes(reinterpret_cast<char*>(&header), sizeof header);
  return bytes.append(reinterpret_cast<char*>(&segment), sizeof segment).append(loader).append(1, '\0');
}

const std::string kGlibc = "/lib64/ld-linux-x86-64.so.2";

bool says(const Diagnosis& diagnosis, const std::string& words) {
  for (const std::string& text : diagnosis.obstacles) {
    if (text.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("an ordinary program will be profiled") {
  CHECK(why_not_preloadable(elf(kGlibc)).empty());
  const Diagnosis diagnosis = examine("env", usual());
  CHECK(diagnosis.obstacles.empty());
  CHECK(diagnosis.program == "/usr/bin/env");
}

TEST_CASE("static, musl, 32-bit, foreign and broken files say so") {
  CHECK(why_not_preloadable(elf("")).find("statically") != std::string::npos);
  CHECK(why_not_preloadable(elf("/lib/ld-musl-x86_64.so.1")).find("musl") != std::string::npos);
  CHECK(why_not_preloadable(elf(kGlibc, EM_AARCH64)).find("processor") != std::string::npos);
  CHECK(why_not_preloadable(elf(kGlibc, EM_386, ELFCLASS32)).find("32-bit") != std::string::npos);
  CHECK(why_not_preloadable("hello").find("neither") != std::string::npos);
  const std::string whole = elf(kGlibc);
  for (std::size_t length = 0; length < whole.size() - 1; ++length) {
    INFO(length);
    CHECK_FALSE(why_not_preloadable(whole.substr(0, length)).empty());
  }
}

TEST_CASE("a script is judged by its interpreter, also through env") {
  const Folder folder;
  folder.file("musl", elf("/lib/ld-musl-x86_64.so.1"));
  const std::string script = folder.file("a.sh", "#!" + folder.path() + "/musl -x\n");
  CHECK(says(examine(script, usual()), "musl"));
  CHECK(examine(folder.file("b.sh", "#!/bin/sh\nexport LD_PRELOAD=x.so\n"), usual()).notes.size() == 2);
  CHECK(examine(folder.file("c.py", "#!/usr/bin/env -S sh -u\n"), usual()).program == "/usr/bin/sh");
  CHECK(says(examine(folder.file("d.sh", "#!/usr/bin/env -i sh\n"), usual()), "clears the environment"));
  CHECK(says(examine(folder.file("e.sh", "#!/no/such/thing\n"), usual()), "/no/such/thing is not found"));
}

TEST_CASE("missing, not executable, privileged and switched-off commands say so") {
  const Folder folder;
  const Diagnosis missing = examine("no-such-command-here", usual());
  CHECK(missing.obstacles == std::vector<std::string>{"not found"});
  CHECK(missing.notes.empty());
  CHECK(says(examine(folder.file("plain", elf(kGlibc), 0644), usual()), "chmod +x"));
  const std::string setuid = folder.file("setuid", elf(kGlibc), 04755);
  CHECK(says(examine(setuid, usual()), "setuid"));
  DoctorFacts owner = usual();
  owner.user_id = ::getuid();
  CHECK_FALSE(says(examine(setuid, owner), "setuid"));
  CHECK(says(examine("env", usual({{"SIPROF_DISABLED", "1"}})), "SIPROF_DISABLED=1"));
  CHECK(says(examine("env", usual({{"OTEL_SDK_DISABLED", "true"}})), "OTEL_SDK_DISABLED"));
  for (const char* on : {"true", "on", "yes", "TRUE"})
    CHECK(says(examine("env", usual({{"SIPROF_DISABLED", on}})), "SIPROF_DISABLED="));
  for (const char* off : {"0", "false", "off", "no", "", "2"})
    CHECK(examine("env", usual({{"SIPROF_DISABLED", off}})).obstacles.empty());
  for (const char* off : {"1", "on", "false", ""})
    CHECK(examine("env", usual({{"OTEL_SDK_DISABLED", off}})).obstacles.empty());
  CHECK(says(examine("env", usual({{"LD_PRELOAD", "/no/libsiprof.so"}})), "/no/libsiprof.so: No such file"));
  CHECK(says(examine("env", usual({{"LD_PRELOAD", "a.so:/no/libsiprof.so b.so"}})), "/no/libsiprof.so"));
  CHECK(examine("env", usual({{"LD_PRELOAD", folder.file("libsiprof.so", "")}})).obstacles.empty());
  CHECK(examine("env", usual({{"SIPROF_KINDS", "cpu"}})).notes.size() == 1);
  CHECK(examine("env", usual({{"SIPROF_KINDS", "heap,lock"}})).notes.size() == 1);
  CHECK(examine("env", usual({{"SIPROF_KINDS", "metrics"}})).notes.size() == 2);
  const std::vector<std::string> notes = examine("env", usual({{"SIPROF_KINDS", "cpu,memory"}})).notes;
  CHECK(std::ranges::any_of(
      notes, [](const std::string& note) { return note.find("'memory' is no kind") != std::string::npos; }));
  DoctorFacts no_shim = usual();
  no_shim.shim = absl::NotFoundError("libsiprof.so is missing");
  CHECK(says(examine("env", no_shim), "libsiprof.so is missing"));
}

namespace {

// As setcap(8) writes it: CAP_NET_RAW, permitted and effective. False: it may not be written here.
bool give_capability(const std::string& path) {
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1u << CAP_NET_RAW;
  return ::setxattr(path.c_str(), "security.capability", &data, XATTR_CAPS_SZ_2, 0) == 0;
}

}  // namespace

TEST_CASE("a program with file capabilities says so, but to root") {
  const Folder folder;
  const std::string program = folder.file("capable", elf(kGlibc));
  CHECK(examine(program, usual()).obstacles.empty());
  if (!give_capability(program)) {
    WARN("not checked: giving a file capabilities needs root and a file system that keeps them: "
         << std::strerror(errno));
    return;
  }
  CHECK(says(examine(program, usual()), "file capabilities"));
  DoctorFacts root = usual();
  root.user_id = root.group_id = 0;
  CHECK(examine(program, root).obstacles.empty());
  // Its own bits don't count for a script: the interpreter's do.
  const std::string script = folder.file("capable.sh", "#!/bin/sh\n");
  REQUIRE(give_capability(script));
  CHECK(examine(script, usual()).obstacles.empty());
}

}  // namespace siprof::client
