// SPDX-License-Identifier: Apache-2.0
// Precompiled: gRPC's headers cost seconds in every file that includes them. (No
// `#pragma once`: the compiler warns of it in a header that it is given directly.)
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/server_callback.h>
