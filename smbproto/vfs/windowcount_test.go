package vfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// check says what of the counts and lists of windows contradicts itself. Nothing is being mapped meanwhile.
func (ls *Loans) check() error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ws := &ls.windows
	var counted windows
	var fresher *window
	for w := ws.freshest; w != nil; fresher, w = w, w.staler {
		if counted.n++; w.fresher != fresher || w.gone || w.refs < 0 || w.users < 0 {
			return fmt.Errorf("window %d of the list: %+v", counted.n, w)
		}
		counted.mapped += int64(len(w.mem))
		if w.refs > 0 {
			counted.held += int64(len(w.mem))
		}
		if w.unused() && ls.sweeping == nil {
			return fmt.Errorf("nobody looks after a window that nobody uses")
		}
	}
	chained := 0
	for id, w := range ls.byID {
		for ; w != nil; w = w.next {
			if chained++; w.id != id || w.gone {
				return fmt.Errorf("among the windows of %v: %+v", id, w)
			}
		}
	}
	if ws.stale != fresher || counted.n != ws.n || chained != ws.n || counted.mapped != ws.mapped || counted.held != ws.held {
		return fmt.Errorf("%d windows of %d bytes, %d held, %d by file, are counted as %+v", counted.n, counted.mapped, counted.held, chained, *ws)
	}
	return nil
}

// Whatever many do with the same files at once, what is counted is what there is, and nothing is left when all is closed.
func TestWindowsAreCountedRight(t *testing.T) {
	const files, clients, rounds, length = 24, 4, 150, 20 * windowSize
	dir, r := lendingRoot(t, nil)
	ls := r.opts.Loans
	fill := func(name string) {
		w, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		must(t, w.Truncate(length))
		for i := int64(0); i < length; i += windowSize / 2 {
			_, err := w.WriteAt(noise(LendLeast), i)
			must(t, err)
		}
		must(t, w.Close())
	}
	for range 3 {
		for i := range files {
			fill(fmt.Sprint(i))
		}
		var running sync.WaitGroup
		for c := range clients {
			running.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(c)))
				var kept []*keeper
				var open []*File
				closeSome := func(but int) {
					for ; len(open) > but; open = open[1:] {
						if err := open[0].Close(); err != nil {
							t.Error(err)
						}
					}
				}
				for range rounds {
					p, _ := ParsePath(fmt.Sprint(random.IntN(files)))
					f, _, err := r.Open(p, How{Read: true, Locate: true})
					if err != nil {
						continue // it has just been renamed or removed
					}
					for range random.IntN(6) {
						if k := lend(f, random.Int64N(2*length/windowSize)*windowSize/2, LendLeast); k != nil {
							kept = append(kept, k)
						}
					}
					switch random.IntN(120) {
					case 0:
						_ = f.Remove()
					case 1:
						to, _ := ParsePath(fmt.Sprint(random.IntN(files)))
						_ = f.Rename(to, true, func(*Dir) error { return nil })
					case 2:
						ls.sweep()
					}
					open = append(open, f)
					closeSome(random.IntN(200))
					for len(kept) > random.IntN(14) {
						kept[0].giveBack()
						kept = kept[1:]
					}
				}
				closeSome(0)
				for _, k := range kept {
					k.giveBack()
				}
			})
		}
		running.Wait()
		if err := ls.check(); err != nil {
			t.Fatal(err)
		}
	}
	if ls.windows.held != 0 {
		t.Errorf("%d bytes are held by nobody", ls.windows.held)
	}
}
