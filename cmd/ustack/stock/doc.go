// Package stock is gVisor's netstack as it comes: its fdbased link endpoint on a TAP
// device, its gonet connections, and areas that are filled and drained by copying from
// and to those. It shares nothing with package netstack but gVisor itself, so that a
// comparison tells what the IO area adds from what netstack is.
//
// A [Stack] owns its device. A [Stream]'s two goroutines are the producer of In and
// the consumer of Out; the area goes back to the pool when both, and the handler, have
// left it.
package stock
