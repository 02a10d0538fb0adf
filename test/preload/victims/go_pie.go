// SPDX-License-Identifier: Apache-2.0
// Go with a loader and without libc: threads and thread storage are the runtime's own.
package main

import "fmt"

func main() {
	sum := uint64(1)
	for i := uint64(0); i < 6000000; i++ {
		sum = sum*6364136223846793005 + i
	}
	fmt.Println(sum)
}
