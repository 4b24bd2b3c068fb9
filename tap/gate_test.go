package tap

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestGateIsClosedOnceAndUnderNobody(t *testing.T) {
	for range 200 {
		var g gate
		var inside, closed atomic.Int32
		closeNow := func() {
			if n := inside.Load(); n != 0 {
				t.Errorf("closed under %d users", n)
			}
			closed.Add(1)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for open := true; open; {
					if open = g.enter(); open {
						inside.Add(1)
						if closed.Load() != 0 {
							t.Error("entered after it was closed")
						}
						inside.Add(-1)
					}
					if g.leave() {
						closeNow()
					}
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				if g.shut() {
					closeNow()
				}
			})
		}
		wg.Wait()
		if n := closed.Load(); n != 1 || !g.isShut() {
			t.Fatalf("closed %d times", n)
		}
	}
}
