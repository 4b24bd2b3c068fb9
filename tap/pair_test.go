package tap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// newTestPair returns a pair that is closed when the test ends.
func newTestPair(tb testing.TB, c PairConfig) (a, b Device) {
	a, b = NewPair(c)
	tb.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// udpFrame is a frame of a flow between two ports, with a virtio-net header.
func udpFrame(sport, dport uint16, payload string) []byte {
	f := make([]byte, HdrLen+ethHdrLen+20+udpHdrLen+len(payload))
	p := f[HdrLen:]
	binary.BigEndian.PutUint16(p[12:], etherIPv4)
	ip := p[ethHdrLen:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	ip[8], ip[9] = 64, protoUDP
	copy(ip[12:], []byte{10, 0, 0, 1})
	copy(ip[16:], []byte{10, 0, 0, 2})
	u := ip[20:]
	binary.BigEndian.PutUint16(u, sport)
	binary.BigEndian.PutUint16(u[2:], dport)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	copy(u[8:], payload)
	return f
}

// reversed is f with addresses and ports exchanged.
func reversed(f []byte) []byte {
	p := f[HdrLen+ethHdrLen:]
	for _, x := range [][3]int{{12, 16, 4}, {20, 22, 2}} {
		tmp := bytes.Clone(p[x[0] : x[0]+x[2]])
		copy(p[x[0]:], p[x[1]:x[1]+x[2]])
		copy(p[x[1]:], tmp)
	}
	return f
}

func mustWrite(tb testing.TB, q Queue, f []byte) {
	tb.Helper()
	if n, err := q.Writev([][]byte{f[:HdrLen], nil, f[HdrLen:]}); err != nil || n != len(f) {
		tb.Fatalf("Writev of %d bytes: %d, %v", len(f), n, err)
	}
}

// readFrame reads one frame; nil when there is none.
func readFrame(tb testing.TB, q Queue) []byte {
	tb.Helper()
	f := make([]byte, HdrLen+MaxFrame)
	n, err := q.Readv([][]byte{f[:HdrLen], {}, f[HdrLen:40], f[40:]})
	if errors.Is(err, ErrWouldBlock) {
		return nil
	}
	if err != nil {
		tb.Fatal(err)
	}
	return f[:n]
}

func TestPairCarriesFramesUnchanged(t *testing.T) {
	a, b := newTestPair(t, PairConfig{})
	qa, qb := mustAttach(t, a), mustAttach(t, b)
	if readFrame(t, qb) != nil {
		t.Fatal("a frame out of nothing")
	}
	big := udpFrame(1, 2, string(make([]byte, 60000)))
	Hdr{Flags: FlagNeedsCsum, GSOType: GSOTCPv4, HdrLen: 54, GSOSize: 1460, CsumStart: 34, CsumOffset: 16}.Encode(big)
	frames := [][]byte{udpFrame(1, 2, "one"), big, make([]byte, HdrLen+ethHdrLen)}
	for _, f := range frames {
		mustWrite(t, qa, f)
	}
	for i, f := range frames {
		if got := readFrame(t, qb); !bytes.Equal(got, f) {
			t.Errorf("frame %d: read %d bytes, wrote %d", i, len(got), len(f))
		}
	}
	if s := a.(Meter).Stats(); s.FramesOut != 3 || s.WriteCalls != 3 {
		t.Errorf("writer counts %+v", s)
	}
	if s := b.(Meter).Stats(); s.FramesIn != 3 || s.ReadCalls != 4 || s.ReadBlocks != 1 {
		t.Errorf("reader counts %+v", s)
	}
}

func TestPairTellsTheOthersAddress(t *testing.T) {
	a, b := newTestPair(t, PairConfig{MTU: 9000, A: PairEnd{Name: "left", HardwareAddr: []byte{2, 0, 0, 0, 0, 1}}})
	if a.Name() != "left" || b.Name() != "pairB" || a.MTU() != 9000 {
		t.Error(a.Name(), b.Name(), a.MTU())
	}
	if b.HardwareAddr().String() != "02:00:00:00:00:01" || a.HardwareAddr().String() != "02:00:00:00:00:0b" {
		t.Error(a.HardwareAddr(), b.HardwareAddr())
	}
}

func TestPairFramesBeforeAttachWait(t *testing.T) {
	a, b := newTestPair(t, PairConfig{})
	f := udpFrame(1, 2, "early")
	mustWrite(t, mustAttach(t, a), f)
	if got := readFrame(t, mustAttach(t, b)); !bytes.Equal(got, f) {
		t.Errorf("read %q", got)
	}
}

func TestPairFullQueueBlocksAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPair(t, PairConfig{Depth: 4})
		qa, qb := mustAttach(t, a), mustAttach(t, b)
		frame := func(i int) []byte { return udpFrame(1, 2, string(rune('a'+i))) }
		for i := range 4 {
			mustWrite(t, qa, frame(i))
		}
		if _, err := qa.Writev([][]byte{frame(4)}); err != ErrWouldBlock {
			t.Fatalf("fifth frame of four: %v", err)
		}
		room := make(chan error)
		go func() { room <- a.Wait() }()
		synctest.Wait()
		if got := readFrame(t, qb); !bytes.Equal(got, frame(0)) {
			t.Errorf("read %q", got)
		}
		if err := <-room; err != nil {
			t.Error(err)
		}
		mustWrite(t, qa, frame(4))
		for i := 1; i <= 4; i++ {
			if got := readFrame(t, qb); !bytes.Equal(got, frame(i)) {
				t.Errorf("frame %d: read %q", i, got)
			}
		}
	})
}

func TestPairSteersFlowsToTheQueueTheyWereWrittenOn(t *testing.T) {
	a, b := newTestPair(t, PairConfig{Queues: 4})
	qa := mustAttach(t, a)
	var qb []Queue
	for range 4 {
		qb = append(qb, mustAttach(t, b))
	}
	if _, err := b.AttachQueue(); !errors.Is(err, ErrNoQueue) {
		t.Errorf("a fifth queue of four: %v", err)
	}
	for flow := range uint16(32) {
		for _, k := range []int{int(flow) % 4, (int(flow) + 1) % 4} {
			mustWrite(t, qb[k], udpFrame(80, 1000+flow, "request"))
			readFrame(t, qa)
			mustWrite(t, qa, reversed(udpFrame(80, 1000+flow, "reply")))
			if ready := b.Ready(nil); len(ready) != 1 || ready[0] != k {
				t.Fatalf("flow %d written on queue %d came back on %v", flow, k, ready)
			}
			readFrame(t, qb[k])
		}
	}
}

func TestPairRefusesWhatTheKernelRefuses(t *testing.T) {
	a, b := newTestPair(t, PairConfig{})
	qa, qb := mustAttach(t, a), mustAttach(t, b)
	for name, bufs := range map[string][][]byte{
		"nothing":    nil,
		"short":      {make([]byte, HdrLen+ethHdrLen-1)},
		"long":       {make([]byte, HdrLen+MaxFrame+1)},
		"many parts": manyBufs(MaxWriteBufs + 1),
	} {
		if _, err := qa.Writev(bufs); !errors.Is(err, ErrBadFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustWrite(t, qa, udpFrame(1, 2, "long"))
	mustWrite(t, qa, udpFrame(1, 2, "next"))
	if _, err := qb.Readv([][]byte{make([]byte, 55)}); err != ErrTruncated {
		t.Errorf("one byte too little: %v", err)
	}
	if got := readFrame(t, qb); !bytes.HasSuffix(got, []byte("next")) {
		t.Errorf("after a truncated frame: %q", got)
	}
	if _, err := qb.Readv(manyBufs(MaxReadBufs + 1)); !errors.Is(err, ErrBadFrame) {
		t.Errorf("many parts: %v", err)
	}
}

func manyBufs(n int) [][]byte {
	bufs := make([][]byte, n)
	for i := range bufs {
		bufs[i] = make([]byte, 100)
	}
	return bufs
}

func TestPairWaitEndsWithAFrameOrClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newTestPair(t, PairConfig{})
		qa, qb := mustAttach(t, a), mustAttach(t, b)
		waited := make(chan error)
		for _, c := range []struct {
			event func()
			want  error
		}{
			{func() { mustWrite(t, qa, udpFrame(1, 2, "x")) }, nil},
			{func() { b.Close() }, ErrClosed},
		} {
			go func() { waited <- b.Wait() }()
			synctest.Wait() // until it is parked
			c.event()
			if err := <-waited; err != c.want {
				t.Errorf("Wait: %v, want %v", err, c.want)
			}
			qb.Readv([][]byte{make([]byte, HdrLen+MaxFrame)})
		}
		if _, err := qb.Readv(nil); err != ErrClosed {
			t.Errorf("read after close: %v", err)
		}
		if _, err := qa.Writev([][]byte{udpFrame(1, 2, "x")}); err != ErrDown {
			t.Errorf("write to a closed end: %v", err)
		}
		if _, err := b.AttachQueue(); err != ErrClosed {
			t.Errorf("attach after close: %v", err)
		}
	})
}

func TestPairLosesNothingBetweenGoroutines(t *testing.T) {
	a, b := newTestPair(t, PairConfig{Depth: 8})
	qa, qb := mustAttach(t, a), mustAttach(t, b)
	const frames = 5000
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		f := udpFrame(1, 2, "1234")
		for i := range uint32(frames) {
			binary.BigEndian.PutUint32(f[len(f)-4:], i)
			for {
				_, err := qa.Writev([][]byte{f})
				if err == nil {
					break
				}
				if err == ErrWouldBlock {
					err = a.Wait() // until there is room
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for want := uint32(0); want < frames; {
		if err := b.Wait(); err != nil {
			t.Fatal(err)
		}
		for f := readFrame(t, qb); f != nil; f = readFrame(t, qb) {
			if got := binary.BigEndian.Uint32(f[len(f)-4:]); got != want {
				t.Fatalf("frame %d, want %d", got, want)
			}
			want++
		}
	}
}

func TestPairAllocatesNothing(t *testing.T) {
	a, b := newTestPair(t, PairConfig{})
	qa, qb := mustAttach(t, a), mustAttach(t, b)
	out := [][]byte{udpFrame(1, 2, string(make([]byte, 3000)))}
	in := [][]byte{make([]byte, HdrLen), make([]byte, MaxFrame)}
	ready := make([]int, 0, 4)
	n := testing.AllocsPerRun(100, func() {
		qa.Writev(out)
		b.Wait()
		ready = b.Ready(ready[:0])
		qb.Readv(in)
		qb.Readv(in)
	})
	if n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkPair(bm *testing.B) {
	a, b := newTestPair(bm, PairConfig{})
	qa, qb := mustAttach(bm, a), mustAttach(bm, b)
	out := [][]byte{udpFrame(1, 2, string(make([]byte, 1400)))}
	in := [][]byte{make([]byte, HdrLen+MaxFrame)}
	bm.ReportAllocs()
	for bm.Loop() {
		qa.Writev(out)
		qb.Readv(in)
	}
}
