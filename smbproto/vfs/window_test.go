package vfs

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// largeFiles opens files that are larger than a window is.
func largeFiles(t *testing.T, n int) (r *Root, files []*File) {
	dir, r := lendingRoot(t, noise(LendLeast))
	for i := range n {
		name := fmt.Sprint(i)
		must(t, os.WriteFile(filepath.Join(dir, name), noise(LendLeast), 0o644))
		must(t, os.Truncate(filepath.Join(dir, name), windowSize+1))
		files = append(files, openFile(t, r, name, How{Read: true}))
	}
	return r, files
}

func (f *File) isMapped() bool { return f.win != nil && !f.win.gone }

// However large the files are, what is mapped is bounded, and what is lent stays.
func TestWindowsAreBoundedByTheirBytes(t *testing.T) {
	const more = 3
	r, files := largeFiles(t, int(mostMapped/windowSize)+more)
	var kept *keeper
	for i, f := range files {
		k := lend(f, 0, LendLeast)
		if k == nil {
			t.Fatalf("file %d is not lent", i)
		}
		if i == 0 {
			kept = k
		} else {
			k.giveBack()
		}
		mapped := int64(0)
		for _, f := range files {
			if f.isMapped() {
				mapped += int64(len(f.win.mem))
			}
		}
		if ws := &r.opts.Loans.windows; mapped > mostMapped || ws.mapped != mapped {
			t.Fatalf("%d bytes are mapped, %d are counted", mapped, ws.mapped)
		}
	}
	for i, f := range files {
		if gone := i == 1; f.isMapped() == gone {
			t.Errorf("file %d has a window: %t", i, f.isMapped())
		}
	}
	kept.giveBack()
	for _, f := range files {
		f.Close()
	}
	r.opts.Loans.Close()
	if ws := &r.opts.Loans.windows; ws.mapped != 0 || ws.n != 0 {
		t.Errorf("%d bytes stay mapped, in %d windows", ws.mapped, ws.n)
	}
}

// Many who read large files in turn do not take each other's windows.
func TestLargeFilesThatAreReadInTurnStayMapped(t *testing.T) {
	_, files := largeFiles(t, 3*int(mostMapped/windowSize))
	var before []*window
	for round := range 4 {
		var now []*window
		for i, f := range files {
			k := lend(f, 0, LendLeast)
			if k == nil {
				t.Fatalf("file %d is not lent", i)
			}
			k.giveBack()
			now = append(now, f.win)
		}
		for i := range before {
			if round == 3 && now[i] != before[i] {
				t.Errorf("file %d is mapped anew in each round", i)
			}
		}
		before = now
	}
	for _, f := range files {
		f.Close()
	}
}

// Who is lent something here and there of large files, and gives nothing back, leaves room for others.
func TestFewLoansDoNotKeepAllThatMayBeMapped(t *testing.T) {
	const loans = int(mostMapped / windowSize)
	r, files := largeFiles(t, loans+1)
	ws := &r.opts.Loans.windows
	must(t, os.Truncate(filepath.Join(r.where, "0"), int64(loans+1)*windowSize))
	writer := openFile(t, r, "0", How{Write: true})
	for i := range loans {
		_, err := writer.WriteAt(noise(LendLeast), int64(i)*windowSize)
		must(t, err)
	}
	for name, one := range map[string]func(i int) *keeper{
		"of one file":    func(i int) *keeper { return lend(files[0], int64(i)*windowSize, LendLeast) },
		"of a file each": func(i int) *keeper { return lend(files[i], 0, LendLeast) },
	} {
		var kept []*keeper
		for i := range loans {
			k := one(i)
			if k == nil {
				t.Fatalf("loan %d %s: nothing is lent", i, name)
			}
			kept = append(kept, k)
		}
		if most := mostHeld + windowSize + int64(loans)*windowLeast; ws.mapped > most {
			t.Errorf("%d bytes are mapped for %d loans %s, want %d at most", ws.mapped, loans, name, most)
		}
		if k := lend(files[loans], 0, LendLeast); k == nil {
			t.Errorf("nothing is lent of another file beside loans %s", name)
		} else {
			k.giveBack()
		}
		for _, k := range kept {
			k.giveBack()
		}
		if ws.held != 0 {
			t.Errorf("loans %s, which were given back, hold %d bytes", name, ws.held)
		}
		for _, f := range files {
			f.closeWindow()
		}
		r.opts.Loans.Close()
	}
	for _, f := range append(files, writer) {
		f.Close()
	}
}

// A client that jumps about in a large file is not lent to faster than what it has left is unmapped.
func TestWhatIsNotUnmappedYetIsBounded(t *testing.T) {
	r, files := largeFiles(t, 1)
	ls := r.opts.Loans
	for _, c := range []struct {
		going      int
		goingBytes int64
		lent       bool
	}{{0, 0, true}, {mostWindows, 0, false}, {0, mostMapped, false}, {mostWindows - 1, mostMapped - 1, true}} {
		files[0].closeWindow()
		ls.Close()
		ls.windows.going, ls.windows.goingBytes = c.going, c.goingBytes
		k := lend(files[0], 0, LendLeast)
		if (k != nil) != c.lent {
			t.Errorf("%+v: lent: %t", c, k != nil)
		}
		ls.windows.going, ls.windows.goingBytes = 0, 0
		if k != nil {
			k.giveBack()
		}
	}
	files[0].Close()
}

// Wherever something was lent, nothing of a window stays mapped, nor the descriptor open.
func TestNothingStaysMapped(t *testing.T) {
	const step = unmapAtOnce
	for _, lent := range [][]int64{nil, {0}, {3*step - LendLeast}, {step + 1<<20, 3 * step}, {5 * step, 0}, {2*step - LendLeast/2, 7 * step}} {
		r, files := largeFiles(t, 1)
		f := files[0]
		must(t, os.WriteFile(r.where+"/0", noise(8*step+LendLeast), 0o644))
		ls := r.opts.Loans
		w := f.window(ls, 0, LendLeast, windowSize+1)
		ls.mu.Lock()
		ls.letGo(w)
		ls.mu.Unlock()
		for _, off := range lent {
			k := lend(f, off, LendLeast)
			k.read()
			k.giveBack()
		}
		f.Close()
		ls.Close()
		maps, err := os.ReadFile("/proc/self/maps")
		must(t, err)
		if strings.Contains(string(maps), r.where) {
			t.Errorf("lent at %d: some of it stays mapped", lent)
		}
		fds, err := filepath.Glob("/proc/self/fd/*")
		must(t, err)
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); strings.HasPrefix(to, r.where+"/") {
				t.Errorf("lent at %d: %s is open", lent, to)
			}
		}
	}
}

// A window is of whole alignments, and no longer than the file, which may be as long as a number says.
func TestAWindowIsNoLongerThanItsFile(t *testing.T) {
	const huge = math.MaxInt64
	for _, c := range []struct {
		from       int64
		n          int
		size, room int64
		want       int64
	}{
		{0, LendLeast, LendLeast, mostMapped, windowAlign},
		{0, LendLeast, windowSize - 1, mostMapped, windowSize},
		{0, LendLeast, huge, mostMapped, windowSize},
		{windowSize, LendLeast, huge, windowSize, windowSize},
		{windowSize, LendLeast, huge, windowSize - 1, windowLeast},
		{0, LendLeast, windowLeast - windowAlign, 0, windowLeast - windowAlign},
		{huge &^ (windowAlign - 1), LendLeast, huge, mostMapped, windowAlign},
	} {
		if got := windowLength(c.from, c.n, c.size, c.room); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	w := &window{off: huge &^ (windowAlign - 1), mem: make([]byte, windowAlign)}
	if !w.holds(huge-LendLeast, LendLeast) || w.holds(w.off, windowAlign+1) || w.holds(w.off-1, 1) {
		t.Error("it does not know what it holds")
	}
}
