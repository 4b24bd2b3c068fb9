package tap

import "sync/atomic"

// A gate keeps a descriptor open while somebody uses it, so that its number is
// not given to another file under a reader. Whoever is last to leave after shut
// closes the descriptor; nobody waits for anybody.
type gate struct {
	users    atomic.Int64 // inside now, plus shutBias once shut
	shutOnce atomic.Bool
	ended    atomic.Bool
}

const shutBias = 1 << 62

// enter reports whether the gate is open. Only after true may the caller use the
// descriptor, and must then call leave.
func (g *gate) enter() bool { return g.users.Add(1) < shutBias }

// leave undoes enter, whatever that returned. If it reports true, the caller must close the descriptor.
func (g *gate) leave() bool {
	// Those who came after shut pass through here too, so the count can reach
	// shutBias more than once; ended picks the first.
	return g.users.Add(-1) == shutBias && g.ended.CompareAndSwap(false, true)
}

// shut closes the gate for those who come later. If it reports true, the caller
// must close the descriptor.
func (g *gate) shut() bool {
	if !g.shutOnce.CompareAndSwap(false, true) {
		return false
	}
	return g.users.Add(shutBias) == shutBias && g.ended.CompareAndSwap(false, true)
}

func (g *gate) isShut() bool { return g.users.Load() >= shutBias }
