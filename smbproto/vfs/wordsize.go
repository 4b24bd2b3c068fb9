//go:build 386 || arm || mips || mipsle

package vfs

// Here int and the system's times have 32 bits: no window of 4 GiB can be mapped (window.go), and no time behind 2038 be set.
const _ = needs_a_platform_of_64_bits
