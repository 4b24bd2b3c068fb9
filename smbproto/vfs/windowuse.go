package vfs

import (
	"time"

	"golang.org/x/sys/unix"
)

// windowIdle is how long a window stays that nobody uses: who opens the file next finds it mapped. It keeps the file's room on the disk,
// where the file is deleted meanwhile by somebody else, and its file system busy.
const windowIdle = 5 * time.Second

// closeWindow takes the file's window from it.
func (f *File) closeWindow() {
	if ls := f.root.opts.Loans; ls != nil {
		ls.mu.Lock()
		ls.leave(f)
		ls.mu.Unlock()
	}
}

// use makes w, which may be nil, the present window of a file that has none. The lock is held.
func (ls *Loans) use(f *File, w *window) {
	if f.win = w; w != nil {
		w.users++
	}
}

// leave takes a file's window from it. The lock is held.
func (ls *Loans) leave(f *File) {
	if w := f.win; w != nil {
		f.win = nil
		w.users--
		ls.left(w)
	}
}

// hold is one more who has hold of a window. The lock is held.
func (ls *Loans) hold(w *window) {
	if w.refs++; w.refs == 1 {
		ls.windows.held += int64(len(w.mem))
	}
}

// letGo gives up a hold of a window. The lock is held.
func (ls *Loans) letGo(w *window) {
	if w.refs--; w.refs > 0 {
		return
	}
	ls.windows.held -= int64(len(w.mem))
	ls.left(w)
}

func (w *window) unused() bool { return w.users == 0 && w.refs == 0 && !w.gone }

// left looks after a window that one fewer uses: it stays for a while, unless its file is deleted. The lock is held.
func (ls *Loans) left(w *window) {
	if !w.unused() {
		return
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(w.fd, &st) }); err != nil || st.Nlink == 0 {
		ls.giveUp(w)
		return
	}
	w.idle = time.Now()
	if ls.sweeping == nil {
		ls.sweeping = time.AfterFunc(windowIdle, ls.sweep)
	}
}

// sweep gives up what nobody has used for windowIdle.
func (ls *Loans) sweep() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	now, next := time.Now(), time.Duration(0)
	ls.eachUnused(func(w *window) bool {
		left := windowIdle - now.Sub(w.idle)
		if left > 0 && (next == 0 || left < next) {
			next = left
		}
		return left <= 0
	})
	if ls.sweeping = nil; next > 0 {
		ls.sweeping = time.AfterFunc(next, ls.sweep)
	}
}

// eachUnused gives up those windows that nobody uses for which it is told to. The lock is held.
func (ls *Loans) eachUnused(giveUp func(*window) bool) {
	for w := ls.windows.stale; w != nil; {
		next := w.fresher
		if w.unused() && giveUp(w) {
			ls.giveUp(w)
		}
		w = next
	}
}

// forget gives up at once what nobody uses of a file: its name has been deleted, or is another's.
func (ls *Loans) forget(id ID) {
	if ls == nil {
		return
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for w := ls.byID[id]; w != nil; {
		next := w.next
		if w.unused() {
			ls.giveUp(w)
		}
		w = next
	}
}

// forgetAll gives up at once what nobody uses, of whatever file: none has its file system busy.
func (ls *Loans) forgetAll() {
	if ls == nil {
		return
	}
	ls.mu.Lock()
	ls.eachUnused(func(*window) bool { return true })
	ls.mu.Unlock()
}

// giveUp has a window unmapped that nobody has hold of. Whose present window it is finds it gone. The lock is held.
func (ls *Loans) giveUp(w *window) {
	ls.windows.remove(w)
	w.gone = true
	if ls.byID[w.id] == w {
		if ls.byID[w.id] = w.next; w.next == nil {
			delete(ls.byID, w.id)
		}
	} else {
		o := ls.byID[w.id]
		for o.next != w {
			o = o.next
		}
		o.next = w.next
	}
	ls.end(w)
}
