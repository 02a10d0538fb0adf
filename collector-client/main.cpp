#include <cstdio>
#include "collector.grpc.pb.h"
#include <grpcpp/grpcpp.h>
int main() {
  auto stub = siprof::v1::Collector::NewStub(grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()));
  std::puts(SIPROF_VERSION);
}
