package netstack

import (
	"encoding/binary"
	"testing"
	"time"

	"ustack/tap"
)

// A lateDevice gives no frame for some reads after a small one, as if the next were still being sent.
type lateDevice struct {
	tap.Device
	late int
}

type lateQueue struct {
	tap.Queue
	d    *lateDevice
	left *int
}

func (d *lateDevice) AttachQueue() (tap.Queue, error) {
	q, err := d.Device.AttachQueue()
	return lateQueue{q, d, new(int)}, err
}

func (q lateQueue) Readv(bufs [][]byte) (int, error) {
	if *q.left > 0 {
		*q.left--
		return 0, tap.ErrWouldBlock
	}
	n, err := q.Queue.Readv(bufs)
	if err == nil && n <= tap.HdrLen+ethLen+ipv4MinLen+tcpMinLen+2*leadMost {
		*q.left = q.d.late
	}
	return n, err
}

// pinged sends an echo request.
func pinged(w *wire) {
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	binary.BigEndian.PutUint16(echo[2:], onesSum(echo))
	w.write(w.ip(1, nil, echo))
}

// Behind a length that comes by itself its message is waited for, and both go to TCP as one.
func TestALengthWaitsForItsMessage(t *testing.T) {
	const rounds, message = 20, 100
	for _, c := range []struct {
		name     string
		spin     time.Duration
		length   int
		between  func(w *wire)
		gathered uint64
	}{
		{"four bytes", time.Hour, 4, nil, rounds},
		{"another's frame between them", time.Hour, 4, pinged, 0},
		{"a whole message", time.Hour, leadMost + 1, nil, 0},
		{"who never polls does not wait", -1, 4, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			withProcs(t, 1, func(t *testing.T) {
				w := newWire(t, func(cfg *Config) {
					cfg.Spin = c.spin
					cfg.Device = &lateDevice{cfg.Device, 3}
				})
				w.stack.onLoop(t, func() { w.stack.l.leadWait = patience })
				conn, a := w.learned(message)
				off := uint64(message)
				send := func(n int) {
					conn.send(off, make([]byte, n))
					off += uint64(n)
				}
				before := w.stack.Stats().Gathered
				for range rounds {
					w.together(func() {
						send(c.length)
						if c.between != nil {
							c.between(w)
						}
						send(message)
					})
					mustWait(t, a, int(off))
				}
				if n := w.stack.Stats().Gathered - before; n != c.gathered {
					t.Errorf("%d of %d messages went to TCP with what led them, want %d", n, rounds, c.gathered)
				}
			})
		})
	}
}

// Small segments that do not wait for replies are read in one batch, and go to TCP as one, though each is led by another.
func TestARunOfSmallSegmentsIsOneBatch(t *testing.T) {
	const run = batchFrames - 1
	withProcs(t, 1, func(t *testing.T) {
		w := newWire(t, func(cfg *Config) { cfg.Spin = time.Hour })
		conn, a := w.learned(100)
		before := w.stack.Stats().Gathered
		w.together(func() {
			for i := range run {
				conn.send(uint64(100+i), make([]byte, 1))
			}
		})
		mustWait(t, a, 100+run)
		if n := w.stack.Stats().Gathered - before; n != run-1 {
			t.Errorf("%d of %d segments went to TCP with the one before, want %d", n, run, run-1)
		}
	})
}

// Behind the end of a stream nothing is waited for.
func TestTheLastBytesLeadNothing(t *testing.T) {
	withProcs(t, 1, func(t *testing.T) {
		w := newWire(t, func(cfg *Config) { cfg.Spin = time.Hour })
		conn, a := w.learned(100)
		f := a.Stream().(*flow)
		w.write(w.ip(protoTCP, nil, conn.tcp(flagFIN|flagACK, conn.iss+101, conn.irs+1, nil, make([]byte, 4))))
		mustWait(t, a, 104)
		w.stack.onLoop(t, func() {
			if f.leader.credit != leadCredit {
				t.Errorf("%d of credit are left of %d", f.leader.credit, leadCredit)
			}
		})
	})
}

// Who says all in a few bytes is not waited behind for long, and who begins to lead others is found.
func TestALeaderIsLearned(t *testing.T) {
	d := leader{credit: leadCredit}
	turn := func(leads bool) (waits int) {
		for range 100 * leadTrial {
			if d.wanted() {
				waits++
				d.waited(leads)
			}
		}
		return waits
	}
	if n := turn(false); n > 110 {
		t.Errorf("waited %d of %d times behind who leads nothing", n, 100*leadTrial)
	}
	if n := turn(true); n < 99*leadTrial {
		t.Errorf("waited %d of %d times behind who always leads", n, 100*leadTrial)
	}
}
