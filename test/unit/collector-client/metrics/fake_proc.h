// SPDX-License-Identifier: Apache-2.0
// A folder that looks like /proc/PID, with whatever a test writes into it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "collector-client/base/unique_fd.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {

// Numbers of a stat file; the others are what a kernel might say.
struct FakeStat {
  std::string name = "app";
  char state = 'S';
  std::string minor = "100", major = "2";
  std::string user = "50", system = "10";
  std::string threads = "1";
  std::string start = "0";
  std::string virtual_bytes = "8192000", resident_pages = "300";

  std::string text() const {
    return "77 (" + name + ") " + state + " 1 77 77 0 -1 4194560 " + minor + " 999 " + major + " 998 " +
           user + " " + system + " 997 996 20 0 " + threads + " 0 " + start + " " + virtual_bytes + " " +
           resident_pages + " 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0\n";
  }
};

class FakeProc {
 public:
  FakeProc() : fd_(open(folder_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

  int fd() const { return fd_.get(); }
  const std::string& path() const { return folder_.path(); }
  void write(const std::string& file, const std::string& text) const {
    for (std::size_t slash = file.find('/'); slash != std::string::npos; slash = file.find('/', slash + 1))
      mkdir((path() + "/" + file.substr(0, slash)).c_str(), 0755);
    std::ofstream(path() + "/" + file, std::ios::trunc) << text;
  }
  void write_thread(int tid, std::uint64_t voluntary, std::uint64_t involuntary) const {
    write("task/" + std::to_string(tid) + "/status",
          "Name:\tapp\nUmask:\t0022\nvoluntary_ctxt_switches:\t" + std::to_string(voluntary) +
              "\nnonvoluntary_ctxt_switches:\t" + std::to_string(involuntary) + "\n");
  }

 private:
  TemporaryFolder folder_;
  UniqueFd fd_;
};

}  // namespace siprof::client
