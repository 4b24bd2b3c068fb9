package smbproto

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"ustack/smbproto/wire"
)

// What clients keep of files, and what others' requests take away, as a model: it says of each request what is to come of it, who is to be
// told of what, and who waits. Each answer and each notification is held to it.
type caching struct {
	t       *testing.T
	r       *rand.Rand
	srv     *Server
	dir     string
	clients []*cacher
	files   map[string]*cachedFile // by name; directories too
	absent  []*cachedOpen          // kept for their clients
	waits   []*cachedWait
	guids   byte
	evicted int
	told    map[*member][][]byte // notifications
	lost    [][]byte             // of connections that have ended
	log     []string
}

// cacher is a client, with the connections of its one session.
type cacher struct {
	index          int
	name, password string
	conns          []*member
}

type cachedFile struct {
	name    string
	dir     bool
	gone    bool
	data    []byte
	opens   []*cachedOpen
	holders []*holder
	locked  *cachedOpen
	doomed  []*wish // those that asked for it, of opens that are closed
}

// holder has an oplock, or a lease.
type holder struct {
	client            *cacher
	key               byte // 0 is an oplock
	file              *cachedFile
	opens             []*cachedOpen
	state             wire.LeaseState
	breaking          bool
	breakTo, required wire.LeaseState
	epoch             uint16
	due               bool // a notification that has not come
	dueFrom, dueTo    wire.LeaseState
	dueAck            bool
	cached            []byte // what the client has read, while it may keep that
	has               bool
}

type cachedOpen struct {
	wish
	id      wire.FileID
	file    *cachedFile
	h       *holder
	durable bool
	away    bool
	closed  bool
	doomed  bool
	wrote   bool
}

// wish is what a CREATE asks for.
type wish struct {
	opening
	client *cacher
	name   string
	level  wire.OplockLevel
	state  wire.LeaseState
	key    byte // of a lease; 0 for an oplock
	parent byte
	guid   byte // of a durable handle; 0 for none
	epoch  uint16
}

func (w *wish) asks() (s wire.LeaseState, lease bool) {
	if w.level == wire.OplockLease {
		return w.state, true
	}
	return w.level.State(), false
}

// cachedWait is a request that has no final answer.
type cachedWait struct {
	conn  *member
	async uint64
	what  string
	wish  wish
	open  *cachedOpen
	at    *cachedFile // whose holders an open waits for
	to    string
	repl  bool
}

func (m *caching) fatal(format string, args ...any) {
	m.t.Helper()
	for _, l := range m.log[max(0, len(m.log)-40):] {
		m.t.Log(l)
	}
	m.t.Fatalf(format, args...)
}

func (m *caching) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (h *holder) present() bool {
	return slices.ContainsFunc(h.opens, func(o *cachedOpen) bool { return !o.away })
}

func (h *holder) String() string {
	s := fmt.Sprintf("client %d's key %d of %q, %v", h.client.index, h.key, h.file.name, h.state)
	if h.breaking {
		s += fmt.Sprintf(" to %v, %v", h.breakTo, h.required)
	}
	return s
}

func (h *holder) same(w *wish, own *holder) bool {
	return own == h || own == nil && h.key != 0 && h.key == w.key && h.client == w.client
}

const (
	cachedR = wire.LeaseRead
	cachedH = wire.LeaseHandle
	cachedW = wire.LeaseWrite
)

// tell has a notification become due.
func (m *caching) tell(h *holder, to wire.LeaseState, ack bool) {
	if h.due {
		m.fatal("%v is to be told of two breaks at once", h)
	}
	h.due, h.dueFrom, h.dueTo, h.dueAck = true, h.state, to, ack
	if to&cachedR == 0 {
		h.has = false
	}
}

func (m *caching) start(h *holder, to, required wire.LeaseState) {
	h.breaking, h.breakTo, h.required = true, to, required
	m.tell(h, to, true)
}

// demote: MS-FSA 2.1.4.12.
func (m *caching) demote(h *holder, to wire.LeaseState) {
	if to &= h.state; h.key == 0 {
		to &= cachedR
	}
	if to != h.state && (!h.present() || to&cachedH == 0) {
		for _, o := range slices.Clone(h.opens) {
			if o.away {
				m.evict(o)
			}
		}
		if !h.present() {
			return
		}
	}
	switch {
	case h.breaking:
		h.required &= to
	case to == h.state:
	case h.state == cachedR:
		h.epoch++
		m.tell(h, to, false)
		h.state = to
	default:
		h.epoch++
		m.start(h, to, to)
	}
}

func (m *caching) acknowledged(h *holder, s wire.LeaseState) {
	h.breaking, h.state = false, s
	if s&cachedR == 0 {
		h.has = false
	}
	switch to := s & h.required; {
	case to == s:
	case s == cachedR:
		m.tell(h, to, false)
		h.state = to
	default:
		m.start(h, to|s&cachedR, h.required)
	}
}

func (m *caching) evict(o *cachedOpen) {
	m.note("  evicted: %v of %q", o.id, o.file.name)
	m.evicted++
	m.absent = slices.DeleteFunc(m.absent, func(other *cachedOpen) bool { return other == o })
	o.away = false
	if o.doomed || o.options&wire.OptionDeleteOnClose != 0 {
		o.wrote = false // its directory is told when it goes
	}
	m.leave(o)
}

func (m *caching) evictAway(f *cachedFile) (some bool) {
	for _, o := range slices.Clone(f.opens) {
		if o.away {
			m.evict(o)
			some = true
		}
	}
	return some
}

func (m *caching) dirOf(name string) *cachedFile {
	if d := filepath.Dir(name); d != "." {
		return m.files[d]
	}
	return m.files[""]
}

// entryChanged: the lease of a directory stays for who works under it, MS-FSA 2.1.4.12 (PARENT_OBJECT).
func (m *caching) entryChanged(name string, by ...*wish) {
	d := m.dirOf(name)
	if d == nil {
		return
	}
	for _, h := range slices.Clone(d.holders) {
		if slices.ContainsFunc(by, func(w *wish) bool { return w.parent == 0 || w.client != h.client || w.parent != h.key }) {
			m.demote(h, 0)
		}
	}
}

func (f *cachedFile) pending() bool {
	return len(f.doomed) > 0 || slices.ContainsFunc(f.opens, func(o *cachedOpen) bool { return o.doomed })
}

// want has others give up the handles that they keep. It reports whether one still has one.
func (m *caching) want(f *cachedFile, o *cachedOpen) (kept bool) {
	for _, h := range slices.Clone(f.holders) {
		if h.state&cachedH != 0 && !h.same(&o.wish, o.h) {
			m.demote(h, h.state&^cachedH)
			kept = kept || h.state&cachedH != 0 && len(h.opens) > 0
		}
	}
	return kept
}

// leave is what the end of an open changes.
func (m *caching) leave(o *cachedOpen) {
	f := o.file
	o.closed = true
	if o.options&wire.OptionDeleteOnClose != 0 {
		o.doomed = true
		if !o.away && o.id != (wire.FileID{}) {
			m.want(f, o)
		}
	}
	if o.wrote {
		m.entryChanged(f.name, &o.wish)
	}
	if f.locked == o {
		f.locked = nil
	}
	if h := o.h; h != nil {
		h.opens = slices.DeleteFunc(h.opens, func(other *cachedOpen) bool { return other == o })
		switch {
		case len(h.opens) == 0:
			f.holders = slices.DeleteFunc(f.holders, func(other *holder) bool { return other == h })
			h.state, h.breaking, h.due = 0, false, h.due && !h.dueAck
		case !h.present() && h.breaking:
			m.acknowledged(h, h.breakTo&h.required)
		}
	}
	f.opens = slices.DeleteFunc(f.opens, func(other *cachedOpen) bool { return other == o })
	if o.doomed && len(f.doomed) == 0 {
		f.doomed = append(f.doomed, &o.wish)
	}
	if len(f.opens) == 0 && len(f.doomed) > 0 {
		f.gone = true
		delete(m.files, f.name)
		m.entryChanged(f.name, &o.wish, f.doomed[0])
	}
}

const (
	cachedStat      = wire.AccessReadAttributes | wire.AccessWriteAttributes | wire.AccessSynchronize
	cachedReads     = wire.AccessReadData | wire.AccessExecute
	cachedWrites    = wire.AccessWriteData | wire.AccessAppendData
	cachedDataReach = cachedReads | cachedWrites | wire.AccessDelete
)

func lets(s wire.ShareAccess, a wire.Access) bool {
	return (a&cachedReads == 0 || s&wire.ShareRead != 0) && (a&cachedWrites == 0 || s&wire.ShareWrite != 0) && (a&wire.AccessDelete == 0 || s&wire.ShareDelete != 0)
}

// violates: MS-FSA 2.1.5.1.2.2.
func (w *wish) violates(f *cachedFile) bool {
	a := w.access
	if w.cuts() {
		a |= wire.AccessWriteData
	}
	return a&cachedDataReach != 0 && slices.ContainsFunc(f.opens, func(o *cachedOpen) bool {
		return o.access&cachedDataReach != 0 && (!lets(o.share, a) || !lets(w.share, o.access))
	})
}

func (w *wish) cuts() bool {
	return w.disposition != wire.Open && w.disposition != wire.Create && w.disposition != wire.OpenIf
}

// holderOf is the lease that the client has by the wish's key.
func (m *caching) holderOf(w *wish) *holder {
	if w.key == 0 {
		return nil
	}
	for _, f := range m.files {
		for _, h := range f.holders {
			if h.client == w.client && h.key == w.key {
				return h
			}
		}
	}
	return nil
}

// opens says what comes of a CREATE. Of one that waits, inTheWay tells why.
func (m *caching) opens(w *wish, again bool) (o *cachedOpen, s wire.Status) {
	f, own := m.files[w.name], m.holderOf(w)
	creates := w.disposition != wire.Open && w.disposition != wire.Overwrite
	switch {
	case f == nil && creates && own != nil:
		return nil, wire.StatusInvalidParameter
	case f == nil && !creates:
		return nil, wire.StatusObjectNameNotFound
	case f != nil && w.disposition == wire.Create:
		return nil, wire.StatusObjectNameCollision
	}
	if f == nil {
		f = &cachedFile{name: w.name}
		m.files[w.name] = f
		m.entryChanged(w.name, w)
		return m.enter(f, w), wire.StatusOK
	}
	if f.pending() {
		if m.evictAway(f) && f.gone {
			return m.opens(w, again)
		}
		return nil, wire.StatusDeletePending
	}
	if own != nil && own.file != f {
		return nil, wire.StatusInvalidParameter
	}
	violates := w.violates(f)
	before := m.evicted
	waits := m.clear(f, w, again, violates)
	if violates {
		m.evictAway(f)
	}
	if m.evicted != before {
		return m.opens(w, again)
	}
	switch {
	case waits:
		return nil, wire.StatusPending
	case violates:
		return nil, wire.StatusSharingViolation
	}
	o = m.enter(f, w)
	if w.cuts() {
		f.data = nil
		if o.h != nil {
			o.h.has = false
		}
		m.entryChanged(f.name, w)
	}
	return o, wire.StatusOK
}

// clear breaks what is in a CREATE's way.
func (m *caching) clear(f *cachedFile, w *wish, again, violates bool) (waits bool) {
	for _, h := range slices.Clone(f.holders) {
		if !w.cuts() && w.access&^cachedStat == 0 || h.same(w, nil) {
			continue
		}
		takes := cachedW
		if violates {
			takes = cachedH
		}
		to := h.state &^ takes
		if w.cuts() {
			to = 0
		}
		in := h.state&takes != 0 || h.breaking && (to == h.state || again)
		if to != h.state {
			m.demote(h, to)
		}
		waits = waits || in && h.present()
	}
	return waits
}

// inTheWay says whether a request that waits has something to wait for.
func (m *caching) inTheWay(w *cachedWait) bool {
	busy := func(f *cachedFile, own *holder) bool {
		return f != nil && slices.ContainsFunc(f.holders, func(h *holder) bool { return h.breaking && h.present() && !h.same(&w.wish, own) })
	}
	switch w.what {
	case "open":
		return busy(w.at, nil)
	case "lock":
		return w.open.file.locked != nil
	}
	return busy(w.open.file, w.open.h) || w.what == "rename" && busy(m.files[w.to], w.open.h)
}

// enter grants: MS-FSA 2.1.5.18.
func (m *caching) enter(f *cachedFile, w *wish) *cachedOpen {
	o := &cachedOpen{wish: *w, file: f}
	asks, lease := w.asks()
	own := m.holderOf(w)
	if f.dir {
		asks &^= cachedW
	}
	s := asks
	if lease && s&cachedR == 0 || f.locked != nil {
		s = 0
	}
	for _, other := range f.opens {
		q := other.h
		if own != nil && q == own {
			continue
		}
		if q != nil && (q.key != 0 || q.state != 0) || other.access&^cachedStat != 0 {
			s &^= cachedW
		}
		switch {
		case q == nil:
		case q.state&cachedW != 0:
			s = 0
		case lease && q.key == 0 && q.state != 0:
			s &^= cachedH
		case !lease && q.state&cachedH != 0:
			s = 0
		}
	}
	f.opens = append(f.opens, o)
	if !lease {
		if s&cachedW == 0 {
			s &= cachedR
		}
		if s = s.Level().State(); s == 0 {
			return o
		}
	}
	switch {
	case own == nil:
		own = &holder{client: w.client, key: w.key, file: f, state: s, epoch: w.epoch + 1}
		f.holders = append(f.holders, own)
	case !own.breaking && s == asks && s&own.state == own.state && s != own.state:
		own.state = s
		own.epoch++
	}
	own.opens = append(own.opens, o)
	o.h = own
	o.durable = w.guid != 0 && !f.dir && (lease && asks&own.state&cachedH != 0 || !lease && own.state == wire.LeaseAll)
	return o
}

// changes is what a change of the file's data takes from others.
func (m *caching) changes(o *cachedOpen) {
	for _, h := range slices.Clone(o.file.holders) {
		if o.h == h && (h.key != 0 && h.state&cachedR != 0 || h.state&(cachedR|cachedW) == cachedR|cachedW) {
			continue
		}
		m.demote(h, 0)
	}
}

// renames says what comes of a rename.
func (m *caching) renames(o *cachedOpen, to string, replace bool) wire.Status {
	f, target := o.file, m.files[to]
	if o.access&wire.AccessDelete == 0 {
		return wire.StatusAccessDenied
	}
	kept := m.want(f, o)
	if replace && target != nil && target != f {
		kept = m.want(target, o) || kept
		target = m.files[to] // it may have gone with who kept it
	}
	switch {
	case kept:
		return wire.StatusPending
	case f.pending():
		return wire.StatusAccessDenied
	case target == f, target == nil:
	case !replace:
		return wire.StatusObjectNameCollision
	default:
		if m.evictAway(target); len(target.opens) > 0 {
			return wire.StatusAccessDenied
		}
		target.gone = true
	}
	from := f.name
	delete(m.files, from)
	f.name, m.files[to] = to, f
	m.entryChanged(from, &o.wish)
	m.entryChanged(to, &o.wish)
	return wire.StatusOK
}

// disposes says what comes of FileDispositionInformation.
func (m *caching) disposes(o *cachedOpen) wire.Status {
	switch {
	case o.access&wire.AccessDelete == 0:
		return wire.StatusAccessDenied
	case m.want(o.file, o):
		return wire.StatusPending
	}
	o.doomed = true
	return wire.StatusOK
}

func (m *caching) closes(o *cachedOpen, again bool) wire.Status {
	if o.options&wire.OptionDeleteOnClose != 0 && o.access&wire.AccessDelete != 0 && m.want(o.file, o) {
		return wire.StatusPending
	}
	m.leave(o)
	return wire.StatusOK
}

// run says what comes of a request, or of one that is tried again.
func (m *caching) run(w *cachedWait, again bool) (o *cachedOpen, s wire.Status) {
	if w.open != nil && w.open.closed && w.what != "lock" {
		return nil, wire.StatusFileClosed
	}
	switch w.what {
	case "open":
		return m.opens(&w.wish, again)
	case "rename":
		return nil, m.renames(w.open, w.to, w.repl)
	case "delete":
		return nil, m.disposes(w.open)
	case "close":
		return nil, m.closes(w.open, again)
	}
	if w.open.closed {
		return nil, wire.StatusRangeNotLocked
	}
	f := w.open.file
	if !again {
		m.changes(w.open)
	}
	if f.locked != nil {
		return nil, wire.StatusPending
	}
	f.locked = w.open
	return nil, wire.StatusOK
}
