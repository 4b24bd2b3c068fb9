package netstack

import (
	"testing"

	"ustack/tap"
)

// A peer that draws answers and takes none: a bounded number waits for it, and when
// it reads again it is served as ever.
func TestFramesThatTheDeviceDoesNotTakeAreBounded(t *testing.T) {
	w := newWire(t, nil)
	w.listen()
	w.barrier(1) // the stack knows our hardware address
	var hdr [tap.HdrLen]byte
	h := tap.Hdr{Flags: tap.FlagDataValid}
	h.Encode(hdr[:])
	stranger := &rawConn{w: w}
	longest := 0
	eventually(t, "a frame lost", func() bool {
		for range 2 * batchFrames {
			stranger.port++
			f := w.ip(protoTCP, nil, stranger.tcp(flagACK, 1, 1, nil, nil)) // of no connection: reset
			if _, err := w.queue.Writev([][]byte{hdr[:], f}); err == tap.ErrWouldBlock {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		w.stack.onLoop(t, func() { longest = max(longest, len(w.stack.l.batch)) })
		return w.stack.Stats().WritesLost > 0
	})
	if most := maxWaiting + 2*batchFrames; longest > most { // what one turn adds
		t.Errorf("%d frames waited, at most %d may", longest, most)
	}
	w.barrier(2)
	w.open(1001, 7)
}
