// SPDX-License-Identifier: Apache-2.0
// A Go program: its runtime aborts when a handler runs off the signal stack. With cgo it is a dynamic
// program that siprof is loaded into; without, a static one that it can't touch.
package main

import (
	"fmt"
	"os/exec"
	"sync"
)

func work(seed uint64) uint64 {
	for i := 0; i < 60_000_000; i++ {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
	}
	return seed
}

func main() {
	var all sync.WaitGroup
	sums := make([]uint64, 4)
	for i := range sums {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			sums[i] = work(uint64(i) + 1) + call(i)
			_ = make([]byte, 1<<20)
		}(i)
	}
	all.Wait()
	out, err := exec.Command("/bin/echo", "from a child").CombinedOutput()
	fmt.Println(sums, string(out), err)
}
