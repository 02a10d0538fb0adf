// SPDX-License-Identifier: Apache-2.0
// A certificate authority with a server's and a client's certificate, made by
// openssl for one test.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {

class TestKeys {
 public:
  TestKeys() {
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout "
        "ca.key -out ca.pem");
    sign("server");
    sign("client");
  }
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }

 private:
  void sign(const std::string& name) {
    run("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name + " -keyout " + name +
        ".key -out " + name + ".csr -addext subjectAltName=DNS:localhost,IP:127.0.0.1");
    run("x509 -req -days 2 -in " + name +
        ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out " + name + ".pem");
  }
  void run(const std::string& arguments) {
    const std::string command = "cd " + folder_.path() + " && openssl " + arguments + " >log 2>&1";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  }

  TemporaryFolder folder_;
};

}  // namespace siprof::client
