package netstack

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"ustack/ioarea/handlers"
)

// A reader that does not read closes the window: the sender stops, what it has sent
// is held, and once it is read all comes in order.
func TestASlowReaderLosesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		ring int
		sips []int // consumed in turn
	}{
		{"dribbles", 512 << 10, []int{1, 100, 1461, 8, 30_000, 3}},
		{"a byte short of all", 512 << 10, []int{-1}},
		{"default ring, large sips", 0, []int{1 << 20, 5, 3 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := uint64(24 << 20)
			if c.ring > 0 {
				size = 4 << 20
			}
			h := newHosts(t, nil, nil, func(cfg *Config) { cfg.RingIn = c.ring })
			client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
			sent := make(chan error, 1)
			go func() { sent <- push(client, size, 3); client.Out.Close(nil) }()
			// The sender fills the window: nobody reads until the window is closed.
			eventually(t, "a closed window", func() bool { return server.Stream().Stats().Window < 2*1460 })
			select {
			case err := <-sent:
				t.Fatalf("all of it was sent (%v) while nobody read", err)
			default:
			}
			if n := server.In.Len(); n > server.In.Cap()/2 {
				t.Errorf("%d bytes of %d shown to a handler that did not ask", n, server.In.Cap())
			}
			want := make([]byte, server.In.Cap())
			for off, i := uint64(0), 0; off < size; i++ {
				mustWait(t, server, 1)
				b := server.In.Peek(server.In.Len())
				n := c.sips[i%len(c.sips)]
				if n < 0 {
					n = max(len(b)-1, 1)
				}
				n = min(n, len(b))
				handlers.Fill(want[:n], 3, off)
				if !bytes.Equal(b[:n], want[:n]) {
					t.Fatalf("wrong bytes in [%d, %d)", off, off+uint64(n))
				}
				server.In.Consume(n)
				off += uint64(n)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			s := server.Stream().Stats()
			t.Logf("in place %.4f, copied %.4f per byte", placedShare(s), float64(s.CopiedIn)/float64(s.BytesIn))
			server.Close()
			client.Close()
		})
	}
}

// A handler that asks for more than half of the ring gets it, up to all of it.
func TestWaitForMoreThanHalfTheRing(t *testing.T) {
	const ring = 512 << 10
	h := newHosts(t, nil, nil, func(c *Config) { c.RingIn = ring })
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	sizes := []int{ring/2 + 1, ring * 3 / 4, ring - 4096, ring - 1, ring, 1, ring}
	total := 0
	for _, n := range sizes {
		total += n
	}
	sent := make(chan error, 1)
	go func() { sent <- push(client, uint64(total), 9) }()
	want := make([]byte, ring)
	off := uint64(0)
	for _, n := range sizes {
		mustWait(t, server, n)
		handlers.Fill(want[:n], 9, off)
		if !bytes.Equal(server.In.Peek(n), want[:n]) {
			t.Fatalf("wrong bytes in [%d, %d)", off, off+uint64(n))
		}
		server.In.Consume(n)
		off += uint64(n)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	s := server.Stream().Stats()
	t.Logf("in place %.4f, copied %.4f per byte", placedShare(s), float64(s.CopiedIn)/float64(s.BytesIn))
	server.Close()
	client.Close()
}

// The end of the ring falls on each byte of a message: message sizes are odd, so
// that after a page of messages each offset has been at the seam. A byte is left
// unread always, so that the ring never begins anew.
func TestTheRingWrapsAtEveryOffset(t *testing.T) {
	const ring = 256 << 10
	page := os.Getpagesize()
	for _, n := range []int{ring/8 + 1, ring/4 - 1, 3*page + 1, 60_001} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHosts(t, nil, nil, func(c *Config) { c.RingIn, c.RingOut = ring, ring })
			client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
			rounds := page
			if raceEnabled || testing.Short() {
				rounds /= 16
			}
			message := func(round int) []byte {
				b := make([]byte, n)
				handlers.Fill(b, uint64(round)<<32, 0)
				return b
			}
			seams := map[int]bool{}
			got := make([]byte, 0, n)
			for round := range rounds {
				m := message(round)
				if err := client.Out.Append(patience, m); err != nil {
					t.Fatal(err)
				}
				if round == 0 {
					mustWait(t, server, n) // keep its last byte
					server.In.Consume(n - 1)
					continue
				}
				// What is there: the last byte of the message before, and this one.
				mustWait(t, server, 1+n)
				seams[server.In.Index(server.In.Start())%page] = true
				got = append(got[:0], server.In.Peek(1 + n)[1:]...)
				if !bytes.Equal(got, m) {
					t.Fatalf("round %d came wrong", round)
				}
				server.In.Consume(n)
				if err := server.Out.Append(patience, got); err != nil {
					t.Fatal(err)
				}
				mustWait(t, client, n)
				if !bytes.Equal(client.In.Peek(n), m) {
					t.Fatalf("round %d came back wrong", round)
				}
				client.In.Consume(n)
			}
			s := server.Stream().Stats()
			t.Logf("%d of %d offsets, in place %.4f", len(seams), page, placedShare(s))
			if len(seams) < min(rounds, page)-1 {
				t.Errorf("the ring began at %d offsets of a page, of %d rounds", len(seams), rounds)
			}
			server.Close()
			client.Close()
		})
	}
}
