// SPDX-License-Identifier: Apache-2.0
//go:build cgo

package main

/*
static int add(int a, int b) {
  volatile int sum = 0;
  for (int i = 0; i < 20000000; ++i) sum += a;
  return sum + b;
}
*/
import "C"

func call(i int) uint64 { return uint64(C.add(C.int(i), 1)) }
