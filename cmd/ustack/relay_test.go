package main

import (
	"bytes"
	"net"
	"testing"

	"ustack/tap"
)

// queueOf is the first queue of a device.
func queueOf(t *testing.T, d tap.Device) tap.Queue {
	t.Helper()
	q, err := d.AttachQueue()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return q
}

// next is the next frame of a queue, with its virtio-net header.
func next(t *testing.T, d tap.Device, q tap.Queue) []byte {
	t.Helper()
	buf := make([]byte, tap.HdrLen+tap.MaxFrame)
	for {
		n, err := q.Readv([][]byte{buf})
		if err == nil {
			return buf[:n]
		}
		if err := d.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARelayMovesFramesAsTheyAre(t *testing.T) {
	client, near := tap.NewPair(tap.PairConfig{})
	far, server := tap.NewPair(tap.PairConfig{})
	in, nearQueue := queueOf(t, client), queueOf(t, near)
	farQueue, out := queueOf(t, far), queueOf(t, server)
	ended := make(chan error, 2)
	go func() { ended <- moveFrames(near, nearQueue, farQueue) }()
	go func() { ended <- moveFrames(far, farQueue, nearQueue) }()

	frame, err := gsoFrame(net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Writev([][]byte{frame}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, server, out); !bytes.Equal(got, frame) {
		t.Errorf("%d bytes came out, %d went in", len(got), len(frame))
	}
	if _, err := out.Writev([][]byte{frame}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, client, in); !bytes.Equal(got, frame) {
		t.Errorf("%d bytes came back, %d went in", len(got), len(frame))
	}
	near.Close()
	far.Close()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("a relay that is told to stop: %v", err)
		}
	}
}

func TestTheLargestFrameIsWellFormed(t *testing.T) {
	frame, err := gsoFrame(net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2})
	if err != nil {
		t.Fatal(err)
	}
	h, err := tap.DecodeHdr(frame)
	if err != nil {
		t.Fatal(err)
	}
	n := len(frame) - tap.HdrLen
	if n > tap.MaxFrame || n != gsoPayload+int(h.HdrLen) {
		t.Errorf("%d bytes, %d of them payload and %d headers, at most %d", n, gsoPayload, h.HdrLen, tap.MaxFrame)
	}
	if h.GSOType != tap.GSOTCPv4 || h.GSOSize != gsoSegment || h.Flags != tap.FlagNeedsCsum || h.CsumStart+h.CsumOffset+2 > h.HdrLen {
		t.Errorf("%+v", h)
	}
}
