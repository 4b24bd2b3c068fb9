package vfs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lendOnce has something lent of a file, and given back, and returns the window that it came from.
func lendOnce(t *testing.T, f *File) *window {
	t.Helper()
	k := lend(f, 0, LendLeast)
	if k == nil {
		t.Fatal("nothing is lent")
	}
	k.giveBack()
	return f.win
}

// All who have a file open find it mapped once, and who opens it soon after the last of them too.
func TestAFileIsMappedOnce(t *testing.T) {
	_, r := lendingRoot(t, noise(LendLeast))
	ls := r.opts.Loans
	one, other := openFile(t, r, "file", How{Read: true}), openFile(t, r, "file", How{Read: true})
	w := lendOnce(t, one)
	if lendOnce(t, other) != w {
		t.Error("two who have it open have it mapped twice")
	}
	one.Close()
	k := lend(other, 0, LendLeast)
	other.Close()
	third := openFile(t, r, "file", How{Read: true})
	if lendOnce(t, third) != w {
		t.Error("what is lent is mapped anew for who opens it next")
	}
	third.Close()
	k.giveBack()
	fourth := openFile(t, r, "file", How{Read: true})
	if lendOnce(t, fourth) != w || ls.windows.n != 1 {
		t.Errorf("what was closed just now is mapped anew; %d windows", ls.windows.n)
	}
	fourth.Close()
}

// A file that has grown is mapped as long as it is, and what was mapped of it goes once nobody uses it.
func TestAFileThatGrowsIsMappedAnew(t *testing.T) {
	dir, r := lendingRoot(t, noise(windowAlign))
	f, other := openFile(t, r, "file", How{Read: true}), openFile(t, r, "file", How{Read: true})
	short := lendOnce(t, f)
	lendOnce(t, other)
	must(t, os.WriteFile(filepath.Join(dir, "file"), noise(windowAlign+LendLeast), 0o644))
	k := lend(f, windowAlign-LendLeast/2, LendLeast)
	if long := f.win; long == short || short.gone || len(long.mem) != 2*windowAlign {
		t.Errorf("a window of %d bytes, where another uses the one before, which is gone: %t", len(long.mem), short.gone)
	}
	k.giveBack()
	f.Close()
	if w := lendOnce(t, other); w != short {
		t.Error("who has a part mapped that is long enough is given another")
	}
	other.Close()
	f = openFile(t, r, "file", How{Read: true})
	must(t, os.WriteFile(filepath.Join(dir, "file"), noise(2*windowAlign+LendLeast), 0o644))
	k = lend(f, 2*windowAlign-LendLeast/2, LendLeast)
	if k == nil || f.win.off != windowAlign {
		t.Error("what it has grown by is not lent")
	}
	k.giveBack()
	k = lend(f, windowAlign-LendLeast/2, 2*windowAlign)
	if k == nil || len(f.win.mem) != 3*windowAlign || !short.gone {
		t.Errorf("a window of %d bytes, beside a shorter one that nobody uses, which is gone: %t", len(f.win.mem), short.gone)
	}
	k.giveBack()
	f.Close()
}

// What nobody uses is unmapped after a while, or when the file is deleted or replaced.
func TestWhatNobodyUsesIsUnmapped(t *testing.T) {
	dir, r := lendingRoot(t, noise(LendLeast))
	ls := r.opts.Loans
	must(t, os.WriteFile(filepath.Join(dir, "young"), noise(LendLeast), 0o644))
	open := func(name string) (*File, *window) {
		f := openFile(t, r, name, How{Read: true, Locate: true})
		return f, lendOnce(t, f)
	}
	f, old := open("file")
	f.Close()
	f, young := open("young")
	f.Close()
	ls.mu.Lock()
	old.idle = old.idle.Add(-windowIdle)
	ls.mu.Unlock()
	ls.sweep()
	if ls.mu.Lock(); !old.gone || young.gone || ls.sweeping == nil {
		t.Errorf("after a while the old one is gone: %t, the young one: %t, and it is looked again: %t", old.gone, young.gone, ls.sweeping != nil)
	}
	young.idle = time.Now().Add(-windowIdle)
	ls.mu.Unlock()
	ls.sweep()
	if ls.mu.Lock(); !young.gone || ls.sweeping != nil || ls.windows.n != 0 {
		t.Errorf("the young one is gone: %t, of %d, and it is looked again: %t", young.gone, ls.windows.n, ls.sweeping != nil)
	}
	ls.mu.Unlock()

	f, w := open("file")
	must(t, os.Remove(filepath.Join(dir, "file")))
	if f.Close(); !w.gone {
		t.Error("a deleted file stays mapped when it is closed")
	}
	f, w = open("young")
	f.Close()
	f = openFile(t, r, "young", How{Read: true, Locate: true})
	must(t, f.Remove())
	if !w.gone {
		t.Error("a file that nobody has read of late stays mapped when it is deleted")
	}
	f.Close()

	for _, name := range []string{"new", "replaced"} {
		must(t, os.WriteFile(filepath.Join(dir, name), noise(LendLeast), 0o644))
		f, w = open(name)
		f.Close()
	}
	f = openFile(t, r, "new", How{Read: true, Locate: true})
	must(t, f.Rename("replaced", true, func(*Dir) error { return nil }))
	if !w.gone || ls.windows.n != 1 {
		t.Errorf("a file that another replaces is gone: %t, of %d windows", w.gone, ls.windows.n)
	}
	f.Close()
}

// A share that is closed has its file system busy no longer, though the server goes on.
func TestAClosedShareIsUnmapped(t *testing.T) {
	dir, r := lendingRoot(t, noise(LendLeast))
	again, err := OpenRoot(dir, Options{Loans: r.opts.Loans})
	must(t, err)
	f := openFile(t, again, "file", How{Read: true})
	w := lendOnce(t, f)
	f.Close()
	must(t, again.Close())
	if !w.gone {
		t.Error("a file of a share that was closed stays mapped")
	}
}

// What stays mapped of a file that was written is not taken for somebody who still writes to it.
func TestWhatStaysMappedDoesNotWrite(t *testing.T) {
	dir, r := lendingRoot(t, noise(LendLeast))
	f := openFile(t, r, "file", How{Read: true, Write: true})
	w := lendOnce(t, f)
	f.Close()
	file, err := os.Open(filepath.Join(dir, "file"))
	must(t, err)
	defer file.Close()
	// As to execute it, to lease it takes that nobody has it open for output.
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil || w.gone {
		t.Errorf("a file that was closed, and is mapped: %t, can't be leased: %v", !w.gone, err)
	}
}

// Who has a file open for output alone is lent nothing of it, also if it is mapped for another.
func TestOutputAloneGetsNoWindow(t *testing.T) {
	_, r := lendingRoot(t, noise(LendLeast))
	lendOnce(t, openFile(t, r, "file", How{Read: true}))
	f := openFile(t, r, "file", How{Write: true})
	if k := lend(f, 0, LendLeast); k != nil || f.win != nil {
		t.Errorf("lent: %t, has a window: %t", k != nil, f.win != nil)
	}
}

// What nobody uses is in nobody's way.
func TestLargeFilesThatWereClosedLeaveRoom(t *testing.T) {
	r, files := largeFiles(t, int(mostMapped/windowSize)+1)
	for i, f := range files {
		if w := lendOnce(t, f); int64(len(w.mem)) < windowSize {
			t.Errorf("of file %d %d bytes are mapped, beside those that were closed", i, len(w.mem))
		}
		f.Close()
	}
	if ws := &r.opts.Loans.windows; ws.mapped > mostMapped {
		t.Errorf("%d bytes are mapped", ws.mapped)
	}
}

// However many files are opened in turn, who has one open keeps its window.
func TestFilesThatWereClosedLeaveWindowsToOthers(t *testing.T) {
	dir, r := lendingRoot(t, noise(LendLeast))
	f := openFile(t, r, "file", How{Read: true})
	w := lendOnce(t, f)
	for i := range mostWindows + 1 {
		name := fmt.Sprint(i)
		must(t, os.WriteFile(filepath.Join(dir, name), noise(LendLeast), 0o644))
		other := openFile(t, r, name, How{Read: true})
		lendOnce(t, other)
		other.Close()
	}
	if n := r.opts.Loans.windows.n; w.gone || n != mostWindows {
		t.Errorf("of %d windows the one that is used is gone: %t", n, w.gone)
	}
}
