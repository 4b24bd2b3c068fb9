// Package stock is gVisor's netstack as it comes: its fdbased link endpoint on a TAP
// device, its gonet connections, and areas that are filled and drained by copying from
// and to those. It shares nothing with package netstack but gVisor itself. A comparison
// tells what gVisor's own endpoint reaches on a TAP: without segmentation offload, which
// fdbased does not use there, so that it is offload and the IO area together that make
// the difference. What the IO area does by itself, "serve --copy-all" tells.
//
// A [Stack] owns its device. A [Stream]'s two goroutines are the producer of In and
// the consumer of Out; the area goes back to the pool when both, and the handler, have
// left it.
package stock
