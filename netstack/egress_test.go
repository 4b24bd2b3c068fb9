package netstack

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

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
	if longest > maxWaiting {
		t.Errorf("%d frames waited, at most %d may", longest, maxWaiting)
	}
	w.barrier(2)
	w.open(1001, 7)
}

// The bound holds also where much is queued at once behind what waits; a device that takes all is
// given all.
func TestFramesThatAreQueuedAtOnceAreBounded(t *testing.T) {
	const queued = maxWaiting + 100
	for waiting, want := range map[int]int{0: queued, 1: maxWaiting, maxWaiting: maxWaiting} {
		l := &loop{queues: []*queue{{}}, batch: make([]outFrame, waiting), waiting: waiting}
		for range queued {
			l.txQueued = append(l.txQueued, stack.NewPacketBuffer(stack.PacketBufferOptions{}))
		}
		l.collect()
		if lost := int(l.c.txLost.Load()); len(l.batch) != want || len(l.batch)+lost != waiting+queued {
			t.Errorf("%d waited and %d came: %d wait, want %d, and %d are lost", waiting, queued, len(l.batch), want, lost)
		}
		for _, o := range l.batch[waiting:] {
			o.pkt.DecRef()
		}
	}
}
