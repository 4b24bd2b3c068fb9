package vfs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// A keeper is a borrower that keeps one loan, or what it said.
type keeper struct {
	mu   sync.Mutex
	loan *Loan
	copy []byte
	// early: it was asked for a loan that it did not have.
	early bool
}

func (k *keeper) TakeBack(l *Loan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.early = k.early || k.loan != l
	if k.loan == l {
		k.copy = make([]byte, len(l.Bytes()))
		_ = l.CopyLent(k.copy, l.Bytes())
		k.loan = nil
		l.Returned()
	}
}

// read is what was lent, in the way of one who sends it.
func (k *keeper) read() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loan != nil {
		k.copy = make([]byte, len(k.loan.Bytes()))
		_ = k.loan.CopyLent(k.copy, k.loan.Bytes())
	}
	return k.copy
}

func (k *keeper) giveBack() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loan != nil {
		k.loan.Returned()
		k.loan = nil
	}
}

// lend returns who keeps what was lent, or nil if nothing was.
func lend(f *File, off int64, n int) *keeper {
	k := new(keeper)
	l := f.Lend(off, n, k)
	if l == nil {
		return nil
	}
	k.mu.Lock()
	k.loan = l
	early := k.early
	k.mu.Unlock()
	if early {
		k.giveBack()
		return nil
	}
	return k
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// lendingRoot is a root with a file in it, and all is given back when the test ends.
func lendingRoot(t *testing.T, content []byte) (dir string, r *Root) {
	dir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), content, 0o644))
	loans := NewLoans()
	if loans == nil {
		t.Fatal("this system can't lend")
	}
	r, err := OpenRoot(dir, Options{Loans: loans})
	must(t, err)
	if !pagesAreTheFile(r.fd) {
		t.Skip("needs a directory for temporary files on a file system that is lent from")
	}
	t.Cleanup(func() {
		loans.Close()
		if loans.Out() != 0 || len(loans.byFile) != 0 || loans.windows != (windows{}) || len(loans.byID) != 0 {
			t.Errorf("%d loans, of %d files, %d windows are left", loans.Out(), len(loans.byFile), loans.windows.n)
		}
		must(t, r.Close())
	})
	return dir, r
}

func openFile(t *testing.T, r *Root, name string, how How) *File {
	t.Helper()
	p, err := ParsePath(name)
	must(t, err)
	f, _, err := r.Open(p, how)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func TestWhatIsLentIsWhatTheFileHolds(t *testing.T) {
	content := noise(3<<20 + 123)
	_, r := lendingRoot(t, content)
	f := openFile(t, r, "file", How{Read: true})
	for _, c := range []struct{ off, n, want int }{
		{0, 1 << 20, 1 << 20},
		{1, LendLeast, LendLeast},
		{4095, 2<<20 + 2, 2<<20 + 2},
		{2<<20 + 5, 8 << 20, 1<<20 + 118},
		{0, LendLeast - 1, 0},
		{3 << 20, 1 << 20, 0}, // too little there
		{5 << 20, 1 << 20, 0}, // nothing
	} {
		k := lend(f, int64(c.off), c.n)
		switch {
		case k == nil && c.want == 0:
		case k == nil:
			t.Errorf("%d at %d: not lent", c.n, c.off)
		case !bytes.Equal(k.read(), content[c.off:c.off+c.want]):
			t.Errorf("%d at %d: %d other bytes", c.n, c.off, len(k.read()))
		}
		if k != nil {
			k.giveBack()
		}
	}
}

func TestAWindowLivesAsLongAsItsLoans(t *testing.T) {
	_, r := lendingRoot(t, nil)
	f := openFile(t, r, "file", How{Read: true, Write: true})
	const far = 3*windowSize + 12345
	must(t, f.Truncate(far+1<<20))
	content := noise(1 << 20)
	for _, off := range []int64{0, far} {
		_, err := f.WriteAt(content, off)
		must(t, err)
	}
	first := lend(f, 0, 1<<20)
	second := lend(f, far, 1<<20)
	if first == nil || second == nil {
		t.Fatal("not lent")
	}
	must(t, f.Close())
	for i, k := range []*keeper{first, second} {
		if !bytes.Equal(k.read(), content) {
			t.Errorf("loan %d is something else", i)
		}
		k.giveBack()
	}
}

// No more is mapped than there is; and what comes later is lent as well.
func TestAWindowGrowsWithItsFile(t *testing.T) {
	content := noise(5 << 20)
	_, r := lendingRoot(t, content[:100_000])
	f := openFile(t, r, "file", How{Read: true, Write: true})
	first := lend(f, 0, 1<<20)
	if n := len(f.win.mem); n != windowAlign {
		t.Errorf("%d bytes are mapped of 100,000", n)
	}
	_, err := f.WriteAt(content[100_000:], 100_000)
	must(t, err)
	second := lend(f, 1<<20, 4<<20)
	if second == nil || !bytes.Equal(second.read(), content[1<<20:]) || !bytes.Equal(first.read(), content[:100_000]) {
		t.Error("another file")
	}
	first.giveBack()
	second.giveBack()
}

func TestWhatIsLentDoesNotChange(t *testing.T) {
	content := noise(1 << 20)
	for name, change := range map[string]func(f, other *File) error{
		"write":    func(f, _ *File) error { _, err := f.WriteAt([]byte("other"), 300_000); return err },
		"truncate": func(f, _ *File) error { return f.Truncate(1000) },
		"allocate": func(f, _ *File) error { return f.Allocate(1000) },
		"zero":     func(f, _ *File) error { return f.Zero(5000, 700_000, false) },
		"punch":    func(f, _ *File) error { return f.Zero(5000, 700_000, true) },
		"copy":     func(f, other *File) error { _, err := Copy(f, other, 100_000, 0, 200_000); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir, r := lendingRoot(t, content)
			must(t, os.WriteFile(filepath.Join(dir, "other"), make([]byte, 1<<20), 0o644))
			// Another share of the same files.
			again, err := OpenRoot(dir, Options{Loans: r.opts.Loans})
			must(t, err)
			defer again.Close()
			f, g := openFile(t, r, "file", How{Read: true}), openFile(t, again, "file", How{Read: true, Write: true})
			other := openFile(t, again, "other", How{Read: true, Write: true})
			k, beside := lend(f, 0, len(content)), lend(other, 0, 1<<20)
			if k == nil || beside == nil {
				t.Fatal("not lent")
			}
			must(t, change(g, other))
			if !bytes.Equal(k.read(), content) {
				t.Error("what was lent has changed")
			}
			if k.loan != nil {
				t.Error("it was not taken back")
			}
			if beside.loan == nil {
				t.Error("what is lent of another file was taken back")
			}
			beside.giveBack()
		})
	}
}

func TestAChangeBesideALoanLeavesIt(t *testing.T) {
	content := noise(1 << 20)
	_, r := lendingRoot(t, content)
	f := openFile(t, r, "file", How{Read: true, Write: true})
	k := lend(f, 100_000, 200_000)
	for _, off := range []int64{99_999, 300_000} {
		_, err := f.WriteAt([]byte{1}, off)
		must(t, err)
	}
	if k.loan == nil {
		t.Error("taken back")
	}
	k.giveBack()
}

// Nothing of this process cuts it; and whatever does, it ends nothing here.
func TestWhatAnotherProgramCutsIsZero(t *testing.T) {
	content := noise(1 << 20)
	dir, r := lendingRoot(t, content)
	f := openFile(t, r, "file", How{Read: true})
	k := lend(f, 10, 1<<20)
	const left = 500_000
	must(t, os.Truncate(filepath.Join(dir, "file"), left))
	want := append(bytes.Clone(content[10:left]), make([]byte, len(content)-left)...)
	if !bytes.Equal(k.read(), want) {
		t.Error("it is not what is left, and zeros")
	}
	k.giveBack()
	if k := lend(f, left-LendLeast, 1<<20); k == nil {
		t.Error("what is left is not lent")
	} else {
		k.giveBack()
	}
}

// Who sends it would wait for the disk.
func TestWhatTheCacheDoesNotHaveIsNotLent(t *testing.T) {
	dir, r := lendingRoot(t, noise(1<<20))
	var fs unix.Statfs_t
	must(t, unix.Statfs(dir, &fs))
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("needs a directory for temporary files that is on a disk")
	}
	f := openFile(t, r, "file", How{Read: true})
	must(t, f.Sync())
	must(t, unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED))
	for _, cached := range []bool{false, true} {
		for _, off := range []int64{0, 300 << 10, 512 << 10} {
			k := lend(f, off, 256<<10)
			if (k != nil) != cached {
				t.Errorf("256 KiB at %d: lent %v, want %v", off, k != nil, cached)
			}
			if k != nil {
				k.giveBack()
			}
		}
		_, err := f.ReadAt(make([]byte, 1<<20), 0)
		must(t, err)
	}
}

func TestWhatCantBeLentIsNot(t *testing.T) {
	dir, r := lendingRoot(t, noise(1<<20))
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	for name, f := range map[string]*File{
		"directory":  openFile(t, r, "dir", How{Read: true}),
		"attributes": openFile(t, r, "file", How{}),
		"write only": openFile(t, r, "file", How{Write: true}),
	} {
		if k := lend(f, 0, 1<<20); k != nil {
			t.Errorf("%s: lent", name)
			k.giveBack()
		}
	}
	without, err := OpenRoot(dir, Options{})
	must(t, err)
	defer without.Close()
	if lend(openFile(t, without, "file", How{Read: true}), 0, 1<<20) != nil {
		t.Error("lent without Loans")
	}
}

// Whatever is lent between two writes is, for good, what the first has left, however many writers follow.
func TestLoansAndWritesMeet(t *testing.T) {
	const size = 256 << 10
	_, r := lendingRoot(t, make([]byte, size))
	var writing sync.RWMutex // a writer, or those who lend
	var running sync.WaitGroup
	for w := range 2 {
		f := openFile(t, r, "file", How{Write: true})
		running.Go(func() {
			for i := range 300 {
				writing.Lock()
				_, err := f.WriteAt(bytes.Repeat([]byte{byte(2*i + w)}, size), 0)
				writing.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		f := openFile(t, r, "file", How{Read: true})
		running.Go(func() {
			for range 300 {
				var first [1]byte
				writing.RLock()
				k := lend(f, 0, size)
				_, err := f.ReadAt(first[:], 0)
				writing.RUnlock()
				if k == nil || err != nil {
					t.Error("not lent", err)
					return
				}
				runtime.Gosched()
				if n := bytes.Count(k.read(), first[:]); n != size {
					t.Errorf("%d bytes of %d are as they were", n, size)
				}
				k.giveBack()
			}
		})
	}
	running.Wait()
}

// Who reads a file that is cut and written again meanwhile gets what it held before or after, or less: never zeros.
func TestWhatIsBeingCutIsNotLent(t *testing.T) {
	content := bytes.Repeat([]byte{'x'}, 1<<20)
	_, r := lendingRoot(t, content)
	f, g := openFile(t, r, "file", How{Read: true}), openFile(t, r, "file", How{Write: true})
	var done atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		defer done.Store(true)
		for range 1000 {
			err := g.Truncate(0)
			if err == nil {
				_, err = g.WriteAt(content, 0)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for !done.Load() {
		k := lend(f, 0, len(content))
		if k == nil {
			runtime.Gosched()
			continue
		}
		if n := bytes.Count(k.read(), []byte{0}); n > 0 {
			t.Errorf("%d zeros", n)
		}
		k.giveBack()
	}
	running.Wait()
}

func TestCopyMappedStopsNowhere(t *testing.T) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 6*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	must(t, err)
	defer func() { must(t, unix.Munmap(mem)) }()
	content := noise(6 * page)
	copy(mem, content)
	for _, hole := range []int{1, 2, 5} { // pages that nobody may read
		must(t, unix.Mprotect(mem[hole*page:(hole+1)*page], unix.PROT_NONE))
		clear(content[hole*page : (hole+1)*page])
	}
	for _, at := range []int{0, 1, page - 1, page, page + 1, 3*page + 7} {
		dst := bytes.Repeat([]byte{0xee}, len(mem)-at)
		if err := copyMapped(dst, mem[at:], func([]byte) bool { return true }); err != nil || !bytes.Equal(dst, content[at:]) {
			t.Errorf("from %d on: %v, or not what is there, and zeros", at, err)
		}
		// What the file has, and nobody gives, is not zeros.
		if err := copyMapped(dst, mem[at:], func([]byte) bool { return false }); err != unix.EIO {
			t.Errorf("from %d on: %v", at, err)
		}
	}
}

// Who reads files that many others keep open is lent to as well.
func TestWindowsGoToWhoReads(t *testing.T) {
	dir, r := lendingRoot(t, noise(LendLeast))
	files := make([]*File, mostWindows+10)
	kept := make([]*keeper, 3)
	for i := range files {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), noise(LendLeast), 0o644))
		files[i] = openFile(t, r, fmt.Sprint(i), How{Read: true})
		k := lend(files[i], 0, LendLeast)
		if k == nil {
			t.Fatalf("file %d is not lent", i)
		}
		if i < len(kept) {
			kept[i] = k
		} else {
			k.giveBack()
		}
	}
	if n := r.opts.Loans.windows.n; n != mostWindows {
		t.Errorf("%d windows, want %d", n, mostWindows)
	}
	for i, k := range kept {
		if !files[i].isMapped() || !bytes.Equal(k.read(), noise(LendLeast)) {
			t.Errorf("a window was taken from file %d, of which something is lent", i)
		}
		k.giveBack()
	}
	if files[len(kept)].isMapped() {
		t.Error("it was not the one that nobody has used for longest")
	}
	if k := lend(files[len(kept)], 0, LendLeast); k == nil {
		t.Error("it is not lent again")
	} else {
		k.giveBack()
	}
}

func TestALentFileHasBeenAccessed(t *testing.T) {
	_, r := lendingRoot(t, noise(1<<20))
	f := openFile(t, r, "file", How{Read: true})
	lend(f, 0, 1<<20).giveBack() // which maps it
	long := unix.NsecToTimespec(1e18)
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, throughProc(f.fd), []unix.Timespec{long, long}, 0))
	lend(f, 0, 1<<20).giveBack()
	var st unix.Stat_t
	must(t, unix.Fstat(f.fd, &st))
	var fs unix.Statfs_t
	must(t, unix.Fstatfs(f.fd, &fs))
	if fs.Flags&unix.ST_NOATIME == 0 && st.Atim.Sec == long.Sec {
		t.Error("it was not")
	}
}
