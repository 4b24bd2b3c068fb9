package vfs

import (
	"errors"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// windowSize is how much of a file is mapped at once, bytes, if it has so much, and windowAlign what a window's beginning is a
	// multiple of, and its length. To map a page and to unmap it costs as much as to copy it, so what is read again has to find it mapped.
	windowSize  int64 = 4 << 30
	windowAlign       = 2 << 20
	// windowLeast is how much of it is mapped where mostMapped leaves no more: so many fit there that large files that are read in turn do
	// not take each other's windows.
	windowLeast int64 = mostMapped / mostWindows
	// mostWindows bounds the mappings of all files, each of which keeps a descriptor, and mostMapped their bytes. Where all of them was
	// read, page tables take 128 MiB. As much again may be on its way out.
	mostWindows       = 256
	mostMapped  int64 = 64 << 30
	// mostHeld is how many bytes windows of which something is lent may have while others get more than windowLeast: or one client that
	// acknowledges nothing would keep all there is with its few loans.
	mostHeld = mostMapped / 2
	// unmapAtOnce is how much of what was lent is unmapped by one call, for a third of a millisecond at most.
	unmapAtOnce = 8 << 20
)

// A window is a mapped part of a file, for all who have it open. What follows mem never changes but under the lock of Loans.
type window struct {
	id  ID
	off int64
	fd  int // to ask how long the file is, also when no File has it open
	mem []byte

	from, until     int       // what of mem has been lent lies between, and may have pages
	users           int       // Files whose present window it is
	refs            int       // by who is about to lend from it, and by loans
	idle            time.Time // since when there are neither
	gone            bool      // it was given up
	next            *window   // of the same file
	fresher, staler *window
}

// windows are all of them, in the order of their last use; guarded by the lock of Loans.
type windows struct {
	n               int
	mapped          int64   // bytes of them
	held            int64   // bytes of those that can't be given up for another, as somebody has hold of them
	going           int     // those that are being unmapped, which n does not count
	goingBytes      int64   // likewise
	freshest, stale *window // the ends of the list
}

func (ws *windows) push(w *window) {
	w.fresher, w.staler = nil, ws.freshest
	if ws.freshest != nil {
		ws.freshest.fresher = w
	} else {
		ws.stale = w
	}
	ws.freshest = w
}

func (ws *windows) remove(w *window) {
	if w.fresher != nil {
		w.fresher.staler = w.staler
	} else {
		ws.freshest = w.staler
	}
	if w.staler != nil {
		w.staler.fresher = w.fresher
	} else {
		ws.stale = w.fresher
	}
	w.fresher, w.staler = nil, nil
}

func (w *window) holds(off int64, n int) bool {
	return off >= w.off && off-w.off <= int64(len(w.mem)-n)
}

// window returns a window of the file, which is size bytes long, that has n bytes at off, and a hold of it, or nil.
func (f *File) window(ls *Loans, off int64, n int, size int64) *window {
	ls.mu.Lock()
	if w := f.win; w == nil || w.gone || !w.holds(off, n) {
		ls.leave(f)
		ls.use(f, ls.mapped(f.ID(), off, n))
	}
	if w := f.win; w != nil {
		ls.hold(w)
		ls.windows.remove(w)
		ls.windows.push(w)
		ls.mu.Unlock()
		return w
	}
	from := off &^ (windowAlign - 1)
	ls.preferTo(min(windowSize, size-from))
	length := windowLength(from, n, size, min(mostMapped-ls.windows.mapped, mostHeld-ls.windows.held))
	room := ls.makeRoom(length)
	ls.mu.Unlock()
	if !room {
		return nil
	}
	w, err := mapWindow(f.fd, from, int(length))
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if err != nil {
		ls.windows.n--
		ls.windows.mapped -= length
		f.noLoans = errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EACCES) // the file system does not map, or it may not be read any more
		return nil
	}
	w.id = f.ID()
	// What w has too, for the file has grown since.
	ls.eachUnused(func(o *window) bool { return o.id == w.id && w.holds(o.off, len(o.mem)) })
	w.next, ls.byID[w.id] = ls.byID[w.id], w
	ls.windows.push(w)
	ls.use(f, w)
	ls.hold(w)
	return w
}

// mapped returns a window of a file that has n bytes at off, or nil. The lock is held.
func (ls *Loans) mapped(id ID, off int64, n int) *window {
	for w := ls.byID[id]; w != nil; w = w.next {
		if w.holds(off, n) {
			return w
		}
	}
	return nil
}

// preferTo makes room for a window of length bytes in place of those that nobody uses, as long as that helps: or who opens many files in
// turn would take the windows of those that stay open. The lock is held.
func (ls *Loans) preferTo(length int64) {
	ws := &ls.windows
	ls.eachUnused(func(*window) bool { return ws.n >= mostWindows || ws.mapped+length > mostMapped })
}

// windowLength is how much is mapped from a place on for n bytes that are at most windowAlign behind it, where room bytes may be mapped
// without being in another window's way.
func windowLength(from int64, n int, size, room int64) int64 {
	length := windowSize
	if min(length, size-from) > room {
		length = windowLeast
	}
	length = max(length, int64(n)+windowAlign)
	if rest := size - from; rest < length { // which may be of as many bytes as an int64 counts
		length = (rest + windowAlign - 1) &^ (windowAlign - 1)
	}
	return length
}

// mapWindow opens the file anew, for input: what is mapped through a handle for output keeps the file from being executed, and its file
// system from being made read-only, and who waits for it to be closed is not told.
func mapWindow(fd int, off int64, n int) (*window, error) {
	own, err := reopen(fd, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	p, err := unix.MmapPtr(own, off, nil, uintptr(n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(err, closeAll(own))
	}
	return &window{off: off, fd: own, mem: unsafe.Slice((*byte)(p), n)}, nil
}

// makeRoom counts one more window, of length bytes, in the place of those that have not been used for longest if there are too many, and
// reports false if all are in use, or if windows come faster than they are unmapped. The lock is held.
func (ls *Loans) makeRoom(length int64) bool {
	ws := &ls.windows
	if ws.going >= mostWindows || ws.goingBytes >= mostMapped {
		return false
	}
	for w := ws.stale; ws.n >= mostWindows || ws.mapped+length > mostMapped; {
		for w != nil && w.refs > 0 {
			w = w.fresher
		}
		if w == nil {
			return false
		}
		next := w.fresher
		ls.giveUp(w)
		w = next
	}
	ws.n++
	ws.mapped += length
	return true
}

// end has a window unmapped. The lock is held.
func (ls *Loans) end(w *window) {
	ws, length := &ls.windows, int64(len(w.mem))
	ws.n, ws.mapped = ws.n-1, ws.mapped-length
	ws.going, ws.goingBytes = ws.going+1, ws.goingBytes+length
	// To unmap a window takes some milliseconds, and this may be the loop that serves all connections.
	ls.unmapping.Go(func() {
		w.unmap()
		ls.mu.Lock()
		defer ls.mu.Unlock()
		ws.going, ws.goingBytes = ws.going-1, ws.goingBytes-length
	})
}

// unmap unmaps what was lent little by little, for other goroutines may wait for the processor, and what has no pages at once.
func (w *window) unmap() {
	for at := 0; at < len(w.mem); {
		end := len(w.mem)
		switch from := w.from &^ (unmapAtOnce - 1); {
		case at < from:
			end = from
		case at < w.until:
			end = min(at+unmapAtOnce, end)
		}
		_ = unix.MunmapPtr(unsafe.Pointer(&w.mem[at]), uintptr(end-at)) // what stays costs address space
		at = end
		runtime.Gosched()
	}
	unix.Close(w.fd)
}

// copy copies src, a part of the window, to dst, which is as long. What is behind the end of the file is zeros.
func (w *window) copy(dst, src []byte) error {
	return copyMapped(dst, src, func(at []byte) bool {
		var st unix.Stat_t
		err := retry(func() error { return unix.Fstat(w.fd, &st) })
		off := w.off + int64(uintptr(unsafe.Pointer(unsafe.SliceData(at)))-uintptr(unsafe.Pointer(unsafe.SliceData(w.mem))))
		return err == nil && off >= st.Size
	})
}
