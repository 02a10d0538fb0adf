// SPDX-License-Identifier: Apache-2.0
// A Go library for a C program (buildmode c-shared) that profiles itself with SIGPROF, beside siprof.
package main

import "C"

import (
	"bytes"
	"runtime/pprof"
)

var profile bytes.Buffer

//export StartProfile
func StartProfile() C.int {
	if pprof.StartCPUProfile(&profile) != nil {
		return 1
	}
	return 0
}

//export Work
func Work(rounds C.int) C.ulonglong {
	seed := uint64(1)
	for i := 0; i < int(rounds)*1_000_000; i++ {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
	}
	return C.ulonglong(seed)
}

// StopProfile gives the size of the profile that Go made of itself.
//
//export StopProfile
func StopProfile() C.int {
	pprof.StopCPUProfile()
	return C.int(profile.Len())
}

func main() {}
