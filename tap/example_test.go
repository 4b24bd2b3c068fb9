package tap_test

import (
	"fmt"

	"ustack/tap"
)

// One end of a link in memory sends a frame, the other waits for it and reads
// the header and the frame into buffers of its own.
func Example() {
	a, b := tap.NewPair(tap.PairConfig{})
	defer a.Close()
	defer b.Close()
	out, err := a.AttachQueue()
	if err != nil {
		panic(err)
	}
	in, err := b.AttachQueue()
	if err != nil {
		panic(err)
	}

	frame := append(make([]byte, 14), "a frame of no protocol"...)
	if _, err := out.Writev([][]byte{make([]byte, tap.HdrLen), frame}); err != nil {
		panic(err)
	}

	header, buf := make([]byte, tap.HdrLen), make([]byte, tap.MaxFrame)
	for b.Wait() == nil {
		n, err := in.Readv([][]byte{header, buf})
		if err != nil {
			continue // ErrWouldBlock: Wait may return without a frame
		}
		fmt.Printf("%s\n", buf[14:n-tap.HdrLen])
		break
	}
	// Output: a frame of no protocol
}
