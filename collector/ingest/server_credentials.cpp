// SPDX-License-Identifier: Apache-2.0
// gRPC fails late and without a reason on a bad certificate, so the files are looked
// at with OpenSSL first.
#include "collector/ingest/server_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace siprof::collector {
namespace {

constexpr unsigned kRefreshSeconds = 30;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using File = std::unique_ptr<std::FILE, Deleter<std::fclose>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

absl::StatusOr<File> open_pem(const char* option, const std::string& path) {
  File file(std::fopen(path.c_str(), "re"));
  if (file) return file;
  return absl::FailedPreconditionError(absl::StrCat(option, " ", path, ": ", std::strerror(errno)));
}

absl::StatusOr<Certificate> read_certificate(const char* option, const std::string& path) {
  auto file = open_pem(option, path);
  if (!file.ok()) return file.status();
  Certificate certificate(PEM_read_X509(file->get(), nullptr, nullptr, nullptr));
  if (certificate) return certificate;
  return absl::FailedPreconditionError(absl::StrCat(option, " ", path, ": no PEM certificate in it"));
}

// A key with a passphrase counts as unreadable: nobody is there to type it.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

absl::StatusOr<Key> read_key(const std::string& path) {
  auto file = open_pem("--tls-key", path);
  if (!file.ok()) return file.status();
  Key key(PEM_read_PrivateKey(file->get(), nullptr, no_passphrase, nullptr));
  if (key) return key;
  return absl::FailedPreconditionError(
      absl::StrCat("--tls-key ", path, ": no PEM key without passphrase in it"));
}

absl::Status check_files(const IngestOptions& options) {
  const auto certificate = read_certificate("--tls-cert", options.tls_cert_file);
  if (!certificate.ok()) return certificate.status();
  const auto key = read_key(options.tls_key_file);
  if (!key.ok()) return key.status();
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--tls-key ", options.tls_key_file, " isn't the key of --tls-cert ", options.tls_cert_file));
  }
  if (options.tls_client_ca_file.empty()) return absl::OkStatus();
  return read_certificate("--tls-client-ca", options.tls_client_ca_file).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const IngestOptions& options) {
  if (options.tls_cert_file.empty() != options.tls_key_file.empty()) {
    return absl::FailedPreconditionError("--tls-cert and --tls-key go together: give both");
  }
  if (options.tls_cert_file.empty()) {
    if (options.tls_client_ca_file.empty()) return grpc::InsecureServerCredentials();
    return absl::FailedPreconditionError("--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (auto status = check_files(options); !status.ok()) return status;
  using grpc::experimental::FileWatcherCertificateProvider;
  grpc::experimental::TlsServerCredentialsOptions tls(std::make_shared<FileWatcherCertificateProvider>(
      options.tls_key_file, options.tls_cert_file, options.tls_client_ca_file, kRefreshSeconds));
  tls.watch_identity_key_cert_pairs();
  if (options.tls_client_ca_file.empty()) {
    tls.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    tls.watch_root_certs();
    tls.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(tls);
}

}  // namespace siprof::collector
