package netstack

import (
	"fmt"
	"slices"

	"ustack/tap"
)

// Shards. Each is a loop with queues of the device for itself; gVisor's stack, and with
// it ARP, the neighbours and the listeners, is common to all. A connection belongs to the shard that
// its addresses and ports say, whose loop writes all its frames: so the device, which
// steers a flow to the queue on which it was last written, pins it to that shard from the
// SYN-ACK on. The first frame, and one that comes when the device has forgotten the flow, may come by a
// queue of another shard, which hands it on: all that happens to a flow happens on one loop.

// maxStrays bounds the frames that were handed on and wait for a shard. Further ones are lost, and
// counted: TCP sends them again.
const maxStrays = 1024

// A stray is a frame that came by another shard's queue.
type stray struct {
	frame     []byte
	validated bool // the device vouches for its checksums
}

// shard is the number of the shard, of n, that a connection belongs to: FNV-1a.
func (k *flowKey) shard(n int) int {
	h := uint32(2166136261)
	add := func(b byte) { h = (h ^ uint32(b)) * 16777619 }
	for i := range k.remote {
		add(k.local[i])
		add(k.remote[i])
	}
	for _, p := range [...]uint16{k.localPort, k.remotePort} {
		add(byte(p))
		add(byte(p >> 8))
	}
	// The low bits of FNV depend on the low bits of what went in alone.
	return int((h ^ h>>16) % uint32(n))
}

// ownerOf is the loop of the shard that a connection belongs to.
func (l *loop) ownerOf(key flowKey) *loop {
	if len(l.shards) < 2 {
		return l
	}
	return l.shards[key.shard(len(l.shards))]
}

// handOn gives a frame to the loop that it belongs to, if that is another one, and
// reports whether it was.
func (q *queue) handOn(s *segment, head, tail []byte) bool {
	if len(q.l.shards) < 2 { // before the key is made: each frame that is not placed comes here
		return false
	}
	owner := q.l.ownerOf(s.inbound())
	if owner == q.l {
		return false
	}
	q.l.c.strays.Add(1)
	owner.mu.Lock()
	full := len(owner.strays) >= maxStrays
	if !full {
		owner.strays = append(owner.strays, stray{slices.Concat(head, tail), q.l.validated})
	}
	owner.mu.Unlock()
	if full {
		q.l.c.straysLost.Add(1)
	}
	owner.wake()
	return true
}

// takeStrays delivers what other shards have handed on, and reports whether there was
// anything.
func (l *loop) takeStrays() bool {
	if len(l.shards) < 2 {
		return false
	}
	l.mu.Lock()
	strays := l.strays
	l.strays = nil
	l.mu.Unlock()
	for _, s := range strays {
		l.validated = s.validated
		l.queues[0].scattered(nil, s.frame)
	}
	return len(strays) > 0
}

// held is how many rings TCP holds beyond their connections: this shard's now, the others' as they
// last counted.
func (l *loop) held() int {
	n := l.areas.held()
	for _, o := range l.shards {
		if o != l {
			n += int(o.c.limbo.Load())
		}
	}
	return n
}

// split makes a part of the device for each shard.
func split(dev tap.Device, shards int) ([]tap.Device, error) {
	parts := []tap.Device{dev}
	if shards == 1 {
		return parts, nil
	}
	splitter, ok := dev.(tap.Splitter)
	if !ok {
		return nil, fmt.Errorf("netstack: %d shards: %s can be served by one only", shards, dev.Name())
	}
	for len(parts) < shards {
		part, err := splitter.Split()
		if err != nil {
			for _, p := range parts[1:] {
				p.Close()
			}
			return nil, fmt.Errorf("netstack: a part of %s for each of %d shards: %w", dev.Name(), shards, err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}
