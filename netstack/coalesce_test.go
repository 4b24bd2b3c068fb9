package netstack

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A coalescedPeer is a peer in virtual time, whose frames of 64 KiB a coalescer has read: the loop
// takes perFrame for each, and looks again as soon as it is done.
type coalescedPeer struct {
	c     coalescer
	start time.Time
	now   time.Duration
	next  time.Duration // when the peer's next frame is there
	sent  int
	read  int // frames in the last pass that had any
	held  int // times that it was left alone
}

const (
	peerFrame = 64 << 10
	perFrame  = 8 * time.Microsecond
)

func newCoalescedPeer() *coalescedPeer {
	return &coalescedPeer{c: newCoalescer(100 * time.Microsecond), start: time.Now()}
}

// run has the peer send n bytes, and returns how long it took. What comes next says how long after
// number sent the next frame is there.
func (p *coalescedPeer) run(n int, next func(sent int) time.Duration) time.Duration {
	began := p.now
	for frames := 0; n > 0; frames = 0 {
		if now := p.start.Add(p.now); p.c.defers(now) {
			if !p.c.held {
				p.c.held = true
				p.held++
			}
			p.now = max(p.now, p.c.until.Sub(p.start))
			continue
		}
		pass := p.now
		for p.next <= pass {
			frames++
			p.sent++
			n -= peerFrame
			p.next += next(p.sent)
		}
		if frames > 0 {
			p.read = frames
		}
		p.now += time.Microsecond + time.Duration(frames)*perFrame
		p.c.read(p.start.Add(pass), frames*peerFrame, true)
	}
	return p.now - began
}

// streams has a peer send on, which is faster where several frames of its are read at once.
func (p *coalescedPeer) streams(int) time.Duration {
	if p.read > 2 {
		return 20 * time.Microsecond
	}
	return 30 * time.Microsecond
}

// waits has a peer wait for the reply to each message of so many frames, of which each takes gap.
func (p *coalescedPeer) waits(message int, gap time.Duration) func(sent int) time.Duration {
	return func(sent int) time.Duration {
		if sent%message != 0 {
			return gap
		}
		return p.now - p.next + 50*time.Microsecond // when the reply has got there
	}
}

// Who streams is left alone, and gains by it.
func TestBulkGathersWhereThatCarriesMore(t *testing.T) {
	p := newCoalescedPeer()
	at := p.run(coalesceFirst*coalesceWindow, p.streams)
	if p.held > 0 {
		t.Error("left alone before it was known to stream")
	}
	p.run((coalesceTrial+2)*coalesceWindow, p.streams)
	after := p.run(coalesceFirst*coalesceWindow, p.streams)
	if float64(after) > 0.75*float64(at) {
		t.Errorf("%v at first, %v when its bulk gathers: want two thirds", at, after)
	}
}

// Who waits for replies loses next to nothing by the trials, however long its messages are and whether they
// are faster than the loop or slower; and is found out when it streams after all.
func TestWhoWaitsForRepliesIsNotKeptWaiting(t *testing.T) {
	const n = 2 << 30
	for _, message := range []int{1, 2, 4, 16, 32} {
		for _, gap := range []time.Duration{5, 20, 40} {
			gap *= time.Microsecond
			at := newCoalescedPeer()
			at.c.most = 0
			never := at.run(n, at.waits(message, gap))
			p := newCoalescedPeer()
			if took := p.run(n, p.waits(message, gap)); float64(took) > 1.04*float64(never) {
				t.Errorf("messages of %d frames, %v each: %v, and %v when it is never left alone", message, gap, took, never)
			}
			if p.held == 0 || p.c.keep < 4*coalesceKeep {
				t.Errorf("messages of %d frames, %v each: left alone %d times, trials %d windows apart",
					message, gap, p.held, p.c.keep)
			}
		}
	}
	for _, burst := range []int{8 << 20, 20 << 20, 40 << 20, 60 << 20, 100 << 20} {
		took := [2]time.Duration{}
		for i, p := range []*coalescedPeer{newCoalescedPeer(), newCoalescedPeer()} {
			if i == 0 {
				p.c.most = 0
			}
			for range n / burst {
				p.now += 2 * coalescePause
				p.next = p.now
				took[i] += p.run(burst, p.waits(1, 20*time.Microsecond))
			}
		}
		if float64(took[1]) > 1.06*float64(took[0]) {
			t.Errorf("bursts of %d bytes: %v, and %v when they are never left alone", burst, took[1], took[0])
		}
	}
	p := newCoalescedPeer()
	p.run(n, p.waits(4, 20*time.Microsecond))
	p.held = 0
	if p.run(2*n, p.streams); p.held < 1000 {
		t.Errorf("left alone %d times when it streams: it was not found out", p.held)
	}
}

// Who pauses is read at once when it goes on, and is not tried before it has streamed for a while.
func TestWhoPausesIsNotLeftAlone(t *testing.T) {
	p := newCoalescedPeer()
	p.run((coalesceFirst+coalesceTrial+2)*coalesceWindow, p.streams)
	p.held = 0
	for range 20 {
		p.now += 2 * coalescePause
		p.next = p.now
		p.run(coalesceFirst*coalesceWindow/2, p.streams)
	}
	if p.held > 0 {
		t.Errorf("left alone %d times", p.held)
	}
	p.run((coalesceFirst+coalesceTrial+2)*coalesceWindow, p.streams)
	p.held = 0
	p.now += coalescePause / 2
	p.next = p.now
	if p.run(1<<20, p.streams); p.held == 0 {
		t.Error("a short pause counts")
	}
}

// A window with long passes is longer than others, and counts by the byte; and what is better of
// late is tried again soon.
func TestWindowsCountByTheByte(t *testing.T) {
	now := time.Now()
	c := newCoalescer(time.Microsecond)
	c.keep = coalesceLong
	for range 4 * coalesceWindow >> 20 {
		bytes, perMiB := 1<<20, 120*time.Microsecond
		if c.on {
			c.held, bytes, perMiB = true, 10<<20, 100*time.Microsecond
		}
		c.read(now, bytes, true)
		now = now.Add(perMiB * time.Duration(bytes) >> 20)
	}
	if !c.kept || c.keep != coalesceKeep {
		t.Errorf("kept: %v, for %d windows; want what is faster by the byte, for %d", c.kept, c.keep, coalesceKeep)
	}
}

// Behind little, and behind a pass that may not have read all, nothing is left alone; and a trial
// in which nothing was is none.
func TestOnlyBulkIsLeftAlone(t *testing.T) {
	now := time.Now()
	c := newCoalescer(time.Microsecond)
	for range 2 * (coalesceFirst + coalesceTrial) * coalesceWindow / (coalesceFrom - 1) {
		took := 30 * time.Microsecond
		if c.on {
			took = 20 * time.Microsecond
		}
		now = now.Add(took)
		if c.read(now, coalesceFrom-1, true); c.defers(now) {
			t.Fatal("left alone behind little")
		}
	}
	if c.on {
		t.Error("it carries more to leave alone what never was")
	}
	c.on = true
	if c.read(now, coalesceFrom, false); c.defers(now) {
		t.Error("left alone with frames in it")
	}
	if c.read(now, coalesceFrom, true); !c.defers(now) {
		t.Error("not left alone")
	}
	if c.read(now, coalesceFrom, false); c.defers(now) {
		t.Error("left alone with frames in it, as it was before")
	}
}

// While bulk gathers its queue is not read; but when the loop would rest itself instead of polling, when a timer waits
// for what the device has, and when the time is over, it is.
func TestAQueueIsLeftAloneForTheTimeBeing(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(l *loop)
	}{
		{"the time is over", func(l *loop) { l.queues[0].coalescer.until = l.now }},
		{"a timer is due", func(l *loop) { l.mu.Lock(); l.timers = append(l.timers, func() {}); l.mu.Unlock() }},
		{"polling is in vain", func(l *loop) { l.spin.limit = -1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, func(cfg *Config) { cfg.Spin = time.Hour })
			conn, a := w.learned(100)
			l := w.stack.l
			w.stack.onLoop(t, func() {
				l.deferred = l.now.Add(2 * patience)
				l.queues[0].coalescer.until = l.deferred
				l.spin.limit = 1 // to poll for what gathers is not in vain
			})
			parks := w.stack.Stats().Parks
			conn.send(100, make([]byte, 100))
			for range 10 {
				w.stack.onLoop(t, func() {}) // a turn
			}
			if n := a.In.Len(); n != 100 {
				t.Fatalf("%d bytes have come, want 100: the queue was read", n)
			}
			if n := w.stack.Stats(); n.Parks != parks || n.Coalesced != 1 {
				t.Errorf("parked %d times while bulk gathered %d times, want 0 and 1", n.Parks-parks, n.Coalesced)
			}
			w.stack.onLoop(t, func() { c.end(l) })
			mustWait(t, a, 200)
		})
	}
}

// A stream that gathers is whole, and the queue was left alone.
func TestBulkThatGathersIsWhole(t *testing.T) {
	h := newHosts(t, nil, nil, func(c *Config) { c.Spin, c.Coalesce = time.Hour, coalesceMost })
	n := uint64(scaled(64 << 20))
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	defer client.Close()
	defer server.Close()
	deadline := time.Now().Add(patience)
	for part := uint64(0); part < n>>20 || h.b.Stats().Coalesced == 0; part++ {
		if time.Now().After(deadline) {
			t.Fatal("the queue was never left alone")
		}
		pushed := make(chan error, 1)
		go func() { pushed <- push(client, 1<<20, part) }()
		h.b.onLoop(t, func() {
			for _, q := range h.b.l.queues {
				q.coalescer.on, q.coalescer.left = true, coalesceKeep
			}
		})
		if err := pull(server, 1<<20, part); err != nil {
			t.Error(err)
			client.Abort(err)
		}
		if err := <-pushed; err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheTimeForBulkToGatherHasABound(t *testing.T) {
	err := Config{Coalesce: coalesceMost + 1, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}.Check()
	if err == nil || !strings.Contains(err.Error(), "gathers") {
		t.Errorf("%v, want the bound", err)
	}
}
