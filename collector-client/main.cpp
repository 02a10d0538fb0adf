#include <grpcpp/grpcpp.h>
#include <cstdio>
#include "collector.grpc.pb.h"
int main() {
  auto stub =
      siprof::v1::Collector::NewStub(grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()));
  std::puts(SIPROF_VERSION);
}
