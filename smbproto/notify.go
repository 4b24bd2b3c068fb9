package smbproto

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// notification is what the CHANGE_NOTIFYs of one open directory share, MS-FSA 2.1.1.6's
// ChangeNotifyEntry: the first says what is watched and how much is kept between two
// requests. Changes come from the watcher's goroutine.
type notification struct {
	watch   *vfs.Watch
	watches *atomic.Int64 // the server's count of them
	filter  wire.NotifyFilter
	most    int // bytes that are kept
	conn    *Conn

	mu      sync.Mutex // comes after the table's and the watcher's
	waiting []notifyRequest
	changes []byte // FILE_NOTIFY_INFORMATIONs
	at      int    // where the last of them begins; -1: there is none
	last    vfs.Change
	lost    bool // there were more
}

// maxConnChanges bounds the bytes of changes that are kept for all watches of a connection, those of answers that the
// client has not taken yet among them.
const maxConnChanges = 4 << 20

type notifyRequest struct {
	p    *pending
	room int
}

// changeNotify: MS-SMB2 3.3.5.19.
func (c *Conn) changeNotify(r *request, w *reply) wire.Status {
	req := wire.ChangeNotifyRequest(r.msg)
	o := r.open
	if req.Valid() != nil || o.file == nil || !o.file.IsDir() {
		return wire.StatusInvalidParameter
	}
	room := int(min(req.OutputLength(), 1<<30))
	if room > c.maxTransact || !c.paid(r, room) {
		return wire.StatusInvalidParameter
	}
	return c.notifyOf(r, w, o, room, req.Filter(), req.Flags()&wire.WatchTree != 0)
}

// notifyOf has a request wait for changes in a directory, whose open is locked.
func (c *Conn) notifyOf(r *request, w *reply, o *open, room int, filter wire.NotifyFilter, tree bool) wire.Status {
	switch {
	case !o.access.Has(wire.AccessReadData): // FILE_LIST_DIRECTORY
		return wire.StatusAccessDenied
	case c.srv.files.pending(o):
		return wire.StatusDeletePending
	}
	n := o.notify.Load()
	if n == nil {
		n = &notification{conn: c, filter: filter, most: room, at: -1}
		if status := c.watch(o, n, tree); status != wire.StatusOK {
			return status
		}
		o.notify.Store(n)
	}
	n.watch.Sync() // what has happened before this request is its answer
	if status := n.park(c, r, w, room); status != wire.StatusOK {
		return status
	}
	if c.srv.files.pending(o) { // since it was asked for
		n.end(wire.StatusDeletePending)
	}
	return wire.StatusPending
}

func (c *Conn) watch(o *open, n *notification, tree bool) wire.Status {
	watcher, err := c.srv.watcher()
	if err == nil {
		n.watch, err = watcher.Watch(o.file, tree, n)
	}
	if err == nil {
		n.watches = &c.srv.watches
		n.watches.Add(1)
		return wire.StatusOK
	}
	c.log.Warn("a directory can't be watched", "path", o.file.Path().Backslashed(), "tree", tree, "cause", err)
	if errors.Is(err, unix.EACCES) {
		return wire.StatusAccessDenied
	}
	return wire.StatusInsufficientResources
}

// park has a request wait; it is answered at once if there are changes already.
func (n *notification) park(c *Conn, r *request, w *reply, room int) wire.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, status := c.park(r, w, n)
	if status == wire.StatusOK {
		n.waiting = append(n.waiting, notifyRequest{p, room})
		n.flush()
	}
	return status
}

func (n *notification) withdraw(p *pending) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.waiting)
	n.waiting = slices.DeleteFunc(n.waiting, func(r notifyRequest) bool { return r.p == p })
	return len(n.waiting) < before
}

// end answers all that wait.
func (n *notification) end(status wire.Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.waiting {
		r.p.settle(status, nil)
	}
	n.waiting = nil
}

// close ends the watch, with its open.
func (n *notification) close() {
	n.watch.Close()
	n.watches.Add(-1)
	n.end(wire.StatusNotifyCleanup)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop()
}

// Changed implements vfs.Sink.
func (n *notification) Changed(ch vfs.Change) {
	if ch.Kinds&n.filter == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost || ch.Action == wire.ChangeModified && n.at >= 0 && ch.Path == n.last.Path && n.last.Action == wire.ChangeModified {
		return // a file that is written to changes once
	}
	n.last = ch
	before := len(n.changes)
	n.changes, n.at = wire.AppendNotify(n.changes, n.at, ch.Action, ch.Path.Backslashed()[1:])
	if n.conn.changes.Add(int64(len(n.changes)-before)) > maxConnChanges || len(n.changes) > n.most {
		n.drop()
	}
}

// Lost implements vfs.Sink.
func (n *notification) Lost() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop()
}

// drop forgets the changes: the client is told to look itself.
func (n *notification) drop() {
	n.conn.changes.Add(-int64(len(n.changes)))
	n.changes, n.at, n.lost = nil, -1, true
}

// Flush implements vfs.Sink.
func (n *notification) Flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flush()
}

// flush answers the first that waits, if there is something to tell.
func (n *notification) flush() {
	if len(n.waiting) == 0 || !n.lost && n.at < 0 {
		return
	}
	r := n.waiting[0]
	n.waiting = slices.Delete(n.waiting, 0, 1)
	if n.lost || len(n.changes) > r.room {
		n.drop()
		r.p.settle(wire.StatusNotifyEnumDir, nil)
	} else {
		n.conn.changes.Add(-int64(len(n.changes)))
		r.p.conn.changes.Add(int64(len(n.changes))) // it counts until the client has it
		r.p.settle(wire.StatusOK, n.changes)
	}
	n.changes, n.at, n.lost = nil, -1, false
}

// tellChanges has those told who watch: what a client has changed is told before it has the answer, and
// not together with what comes next. But nobody waits for a tree to be looked through.
func (s *Server) tellChanges() {
	if w := s.watched(); w != nil {
		w.Sync()
	}
}

// watched is the watcher if clients watch something.
func (s *Server) watched() *vfs.Watcher {
	if s.watches.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watching
}

// tellRenamed has those told who watch the directory of a file whose name was changed, when the open by which it was is
// closed: Windows tells a change of its attributes then, though not of a directory's.
func (s *Server) tellRenamed(f *vfs.File) {
	if f.IsDir() {
		return
	}
	if w := s.watched(); w != nil {
		w.Modified(f, wire.NotifyAttributes|wire.NotifyCreation)
	}
}

// tellAccessed has those told who watch the directory of a file of which only the time of the last access was set: of that inotify
// would tell only with each read.
func (s *Server) tellAccessed(f *vfs.File) {
	if w := s.watched(); w != nil {
		w.Modified(f, wire.NotifyLastAccess)
	}
}

// watcher is started by the first that watches.
func (s *Server) watcher() (*vfs.Watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching == nil {
		w, err := vfs.NewWatcher()
		if err != nil {
			return nil, err
		}
		s.watching = w
	}
	return s.watching, nil
}
