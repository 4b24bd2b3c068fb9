package smbproto

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// keeper is a client that keeps what it reads under leases, by its own goroutine.
type keeper struct {
	*peer
	r      *rand.Rand
	leases map[byte]*kept
	asked  map[uint64]byte // CREATEs without an answer: of which lease
	key    byte            // the lease of the READ or WRITE in hand
	data   string          // that is being written
	then   [][]byte        // what is to be said next
}

// kept is what a keeper has by one lease.
type kept struct {
	ids   []wire.FileID
	state wire.LeaseState
	data  string
	has   bool
}

// hear takes a message.
func (k *keeper) hear(m []byte) {
	h := wire.Header(m)
	switch {
	case h.MessageID() == ^uint64(0):
		to := wire.LeaseState(le.Uint32(m[92:]))
		l := k.leases[m[72]]
		if l.state = to; to&wire.LeaseRead == 0 {
			l.has = false
		}
		if le.Uint32(m[68:]) != 0 {
			k.then = append(k.then, k.leaseAckMsg(m[72], to))
		}
	case h.Command() == wire.CommandRead && h.Status() == wire.StatusOK:
		if l := k.leases[k.key]; l.state&wire.LeaseRead != 0 {
			l.data, l.has = string(m[80:]), true
		}
	case h.Command() == wire.CommandWrite && h.Status() == wire.StatusOK:
		k.leases[k.key].data = k.data
	case h.Command() == wire.CommandCreate && h.Status() != wire.StatusPending:
		key := k.asked[h.MessageID()]
		delete(k.asked, h.MessageID())
		if l := k.leases[key]; h.Status() == wire.StatusOK && key != 0 {
			l.ids = append(l.ids, wire.ReadFileID(m[128:]))
			if x := wire.LeaseContext(k.context(m, wire.ContextLease)); x.Flags()&wire.LeaseBreakInProgress == 0 {
				l.state = x.State()
			}
			l.has = l.has && l.state&wire.LeaseRead != 0
		} else if h.Status() == wire.StatusOK {
			k.then = append(k.then, k.closeMsg(wire.ReadFileID(m[128:])))
		}
	}
}

// say sends a frame, and takes all that comes.
func (k *keeper) say(b []byte) {
	if err := k.feed(b); err != nil {
		k.t.Error(err)
	}
	for m := k.reply(); m != nil; m = k.reply() {
		k.hear(m)
	}
	for len(k.then) > 0 {
		next := k.then[0]
		k.then = k.then[1:]
		k.say(frame(next))
	}
}

func (k *keeper) listen() (heard bool) {
	for k.c.settled.some.Load() {
		heard = true
		k.say(nil)
	}
	return heard
}

func (k *keeper) act() {
	r := k.r
	key := byte(1 + r.IntN(2))
	name := []string{"one", "two"}[key-1]
	l := k.leases[key]
	k.key = key
	switch n := r.IntN(20); {
	case n < 3 || len(l.ids) == 0:
		m := k.leaseMsg(name, anyOpen, key, oneOf(r, leaseR, leaseRH, leaseRWH))
		k.asked[wire.Header(m).MessageID()] = key
		k.say(frame(m))
	case n < 13:
		k.say(frame(k.readMsg(l.ids[0], 0, 1)))
	case n < 15:
		k.data = string(rune('a' + r.IntN(26)))
		k.say(frame(k.writeMsg(l.ids[0], 0, []byte(k.data))))
	case n == 15:
		o := anyOpen
		o.disposition = oneOf(r, wire.OpenIf, wire.OverwriteIf)
		m := k.createMsg(name, o)
		k.asked[wire.Header(m).MessageID()] = 0
		k.say(frame(m))
	case n == 16:
		k.say(frame(k.setMsg(l.ids[0], wire.FileEndOfFileInformation, []byte{byte(r.IntN(2)), 0, 0, 0, 0, 0, 0, 0})))
		l.has = false
	default:
		id := l.ids[0]
		l.ids = l.ids[1:]
		k.say(frame(k.closeMsg(id)))
		if len(l.ids) == 0 {
			l.state, l.has = 0, false
		}
	}
	k.listen()
}

// Whatever clients do at the same time, what they keep in the end is what the files have, and nobody waits any more.
func TestWhatClientsKeepTogetherIsNotStale(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	var all []*keeper
	for i := range 4 {
		p := connect(t, srv, dir)
		p.guid = [16]byte{byte(i + 1)}
		all = append(all, &keeper{peer: p.logOn("pub"), r: rand.New(rand.NewPCG(1, uint64(i))), leases: map[byte]*kept{1: {}, 2: {}}, asked: map[uint64]byte{}})
	}
	for round := range 1500 {
		var wg sync.WaitGroup
		for _, k := range all {
			wg.Go(func() {
				for range 4 {
					k.act()
				}
			})
		}
		wg.Wait()
		for slices.ContainsFunc(all, (*keeper).listen) {
		}
		for i, k := range all {
			if len(k.asked) > 0 {
				t.Fatalf("round %d: %d opens of client %d are not answered", round, len(k.asked), i)
			}
			for key, l := range k.leases {
				if !l.has {
					continue
				}
				if a := k.ask(k.readMsg(l.ids[0], 0, 1)); status(a) != wire.StatusOK || string(a[80:]) != l.data {
					t.Fatalf("round %d: client %d keeps %q by its lease %d of state %v, and the file has something else: %v", round, i, l.data, key, l.state, status(a))
				}
			}
		}
	}
}
