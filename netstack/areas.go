package netstack

import (
	"sync"

	"ustack/ioarea"
)

// A placedArea is an area with the gVisor view of its In ring.
type placedArea struct {
	area *ioarea.Area
	view ringView
}

// areas hands out areas for connections and takes them back. gVisor may hold
// views of a ring after its connection is gone, in queues and timers: such a ring
// waits in limbo until the last view is released. The loop's own.
type areas struct {
	pool   *ioarea.Pool
	layout viewLayout
	place  bool // the layout holds: payload can be placed
	limbo  []placedArea

	freeing sync.WaitGroup // goroutines that give areas back to the pool
}

func (as *areas) get() (placedArea, error) {
	a, err := as.pool.Get()
	if err != nil {
		return placedArea{}, err
	}
	pa := placedArea{area: a}
	if as.place && a.In.Cap() >= placeMin {
		pa.view = as.layout.over(a.In.Memory())
	}
	return pa, nil
}

func (as *areas) put(pa placedArea) {
	pa.area.Out.DropLoans() // however long the ring waits
	if pa.view.held() {
		as.limbo = append(as.limbo, pa)
		return
	}
	as.free(pa)
}

func (as *areas) free(pa placedArea) {
	if pa.view.whole != nil {
		pa.view.release()
	}
	// Off the loop: giving back the pages of a ring that has carried much takes
	// some milliseconds. An area that can't be unmapped stays mapped; that is all
	// that can fail.
	as.freeing.Go(func() { _ = as.pool.Put(pa.area) })
}

// held is how many areas TCP holds beyond their connections.
func (as *areas) held() int {
	if len(as.limbo) == 0 {
		return 0
	}
	return as.sweep()
}

// sweep frees what gVisor has let go of, and reports how many it still holds.
func (as *areas) sweep() int {
	kept := as.limbo[:0]
	for _, pa := range as.limbo {
		if pa.view.held() {
			kept = append(kept, pa)
			continue
		}
		as.free(pa)
	}
	clear(as.limbo[len(kept):])
	as.limbo = kept
	return len(kept)
}
