// SPDX-License-Identifier: Apache-2.0
// The one translation unit that holds Catch2's main; slow to compile, so shared.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
