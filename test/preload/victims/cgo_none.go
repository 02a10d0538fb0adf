// SPDX-License-Identifier: Apache-2.0
//go:build !cgo

package main

func call(i int) uint64 { return uint64(i) }
