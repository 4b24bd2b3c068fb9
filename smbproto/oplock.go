package smbproto

import (
	"slices"
	"sync/atomic"
	"time"

	"ustack/smbproto/wire"
)

// An oplock is what a client may keep of a file while nobody else is in the way: an opportunistic lock, which belongs
// to one open, or a lease, which belongs to all opens that a client makes with its key (MS-FSA 2.1.1.11, MS-SMB2
// 3.3.1.12). An oplock's levels are states of a lease: see wire.OplockLevel. The table's lock guards it, but for shown.
//
// Others' requests take away what is in their way. The client is told (a break), and where it may have to write back
// or to close first, it acknowledges, for which those who need it wait.
type oplock struct {
	st      *fileState
	keepers *atomic.Int32 // of the table
	lease   *lease        // nil for that of one open
	opens   []*open
	state   wire.LeaseState
	dir     bool // of a directory

	// breaking says that an acknowledgment is awaited: that the state comes to breakTo at most. Those who
	// came since need it to come to required, of which it is told then.
	breaking          bool
	breakTo, required wire.LeaseState
	timer             *time.Timer  // while breaking
	awaited           *atomic.Bool // that of the break, for what tells the client of it
	told              breakNotice  // what the client was told last, for a session of it
	rounds            int          // how many breaks there have been, by which the timer knows its own

	shown atomic.Uint32 // the state, to be asked without the table's lock
}

// lease is what tells a lease from an oplock.
type lease struct {
	id        leaseID
	v2        bool
	parent    wire.LeaseKey
	hasParent bool
	epoch     uint16 // counts the changes of the state
}

// leaseID names a lease: by the client and by the client's key, MS-SMB2 3.3.1.11.
type leaseID struct {
	client [16]byte
	key    wire.LeaseKey
}

// asked is the oplock or the lease that a CREATE asks for; the zero value is none.
type asked struct {
	state  wire.LeaseState
	leases bool  // a lease, which is then
	lease  lease // before it is granted
}

// Opens for attributes alone are in nobody's way, MS-FSA 2.1.4.12; of leases, those that read the
// security descriptor neither.
const (
	statAccess      = wire.AccessReadAttributes | wire.AccessWriteAttributes | wire.AccessSynchronize
	leaseStatAccess = statAccess | wire.AccessReadControl
)

// same reports whether an open may do as it likes beside the oplock: it is its own, or its lease's.
func (h *oplock) same(o *open) bool {
	return o.oplock == h || o.oplock == nil && h.lease != nil && o.asked.leases && h.lease.id == o.asked.lease.id
}

func (h *oplock) setState(s wire.LeaseState) {
	count := func(n *atomic.Int32, bit wire.LeaseState) {
		switch had, has := h.state&bit, s&bit; {
		case has > had:
			n.Add(1)
		case has < had:
			n.Add(-1)
		}
	}
	count(&h.st.caching, wire.LeaseRead)
	count(h.keepers, wire.LeaseHandle)
	h.state = s
	h.shown.Store(uint32(s))
}

// clear takes away what is in the way of an open: what clients may have to write back, and, where share modes are
// against it, that they keep the file open. Where the file is overwritten, nothing that was kept stays right. It reports
// whether the client must be waited for.
func (t *fileTable) clear(st *fileState, o *open, e *admission, violates bool) (wait bool) {
	stat := !e.overwrites && o.access&^statAccess == 0
	leaseStat := !e.overwrites && o.access&^leaseStatAccess == 0
	takes := wire.LeaseWrite
	switch {
	case violates, e.renames: // what is to be written back is the file's by any name, MS-FSA 2.1.4.12
		takes = wire.LeaseHandle
	case e.removes:
		takes |= wire.LeaseHandle
	}
	for _, h := range slices.Clone(st.oplocks) {
		if stat || leaseStat && h.lease != nil || h.same(o) {
			continue
		}
		to := h.state &^ takes
		if e.overwrites || e.renames && h.state&wire.LeaseHandle != 0 {
			to = 0
		}
		// Who comes to a break that takes nothing more waits for its end, and so does who has waited before.
		waits := h.state&takes != 0 || h.breaking && (to == h.state || e.again)
		if to != h.state {
			t.demote(h, to)
		}
		wait = wait || waits && h.present() != nil
	}
	return wait
}

// demote has an oplock come to a state, or to less. A client that only keeps what it has read is told, and need not
// answer.
func (t *fileTable) demote(h *oplock, to wire.LeaseState) {
	if to &= h.state; h.lease == nil {
		to &= wire.LeaseRead
	}
	switch {
	case to != h.state && t.unheard(h, to):
	case h.breaking:
		h.required &= to
	case to == h.state:
	case h.state == wire.LeaseRead:
		if h.lease != nil {
			h.lease.epoch++
		}
		h.tell(to, false)
		h.setState(to)
	default:
		if h.lease != nil {
			h.lease.epoch++
		}
		t.startBreak(h, to, to)
	}
}

// startBreak asks the client to come to a state. It has to come to required in the end.
func (t *fileTable) startBreak(h *oplock, to, required wire.LeaseState) {
	h.breaking, h.breakTo, h.required = true, to, required
	h.awaited = new(atomic.Bool)
	h.awaited.Store(true)
	h.tell(to, true)
	h.rounds++
	round := h.rounds
	h.timer = time.AfterFunc(oplockTimeout, func() { t.timeout(h, round) })
}

// oplockTimeout is how long a client has to acknowledge a break, MS-SMB2 3.3.2.1.
const oplockTimeout = 35 * time.Second

// timeout goes on without a client's acknowledgment, MS-SMB2 3.3.6.1 and 3.3.6.4.
func (t *fileTable) timeout(h *oplock, round int) {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.breaking && h.rounds == round {
		o := h.opens[0]
		o.conn.log.Info("oplock break not acknowledged", "file", o.file.Path().Backslashed(), "after", oplockTimeout)
		t.acknowledged(h, 0)
	}
}

// acknowledged ends a break. What was asked for meanwhile breaks at once again, in the same epoch: first what the client
// has to answer to, and then what it has read.
func (t *fileTable) acknowledged(h *oplock, state wire.LeaseState) {
	h.timer.Stop()
	h.awaited.Store(false)
	h.breaking, h.timer = false, nil
	h.setState(state)
	switch to := state & h.required; {
	case to == state:
	case state == wire.LeaseRead:
		h.tell(to, false)
		h.setState(to)
	default:
		t.startBreak(h, to|state&wire.LeaseRead, h.required)
	}
	h.st.retry()
}

// tell sends the notification of a break: of an oplock by the connection of its open, of a lease, which is the client's, by
// the first that the session of one of the opens has.
func (h *oplock) tell(to wire.LeaseState, ack bool) {
	o := h.present()
	if o == nil {
		return
	}
	b := breakNotice{from: h.state, to: to, ack: ack, open: o.id, session: o.session, sealed: o.tree.share.Encrypt}
	if ack {
		b.awaited = h.awaited
	}
	want := o.conn
	if l := h.lease; l != nil {
		b.lease, b.key, want = true, l.id.key, nil
		if l.v2 {
			b.epoch = l.epoch
		}
	}
	h.told = b
	o.session.notify(want, b)
}

// tellOthers sees to what is under way when an open has left the oplock, or is only kept: a break that nobody is left to acknowledge ends,
// and what a session was told that has ended is told to another one that the client has opens in, for it may never have come.
func (t *fileTable) tellOthers(h *oplock, o *open) {
	next := h.present()
	if next == nil {
		if h.breaking {
			t.acknowledged(h, h.breakTo&h.required)
		}
		return
	}
	b := h.told
	if b.session != o.session || b.awaited != nil && !b.awaited.Load() || !o.session.ended() {
		return
	}
	b.session, b.open, b.sealed = next.session, next.id, next.tree.share.Encrypt
	h.told = b
	next.session.notify(nil, b)
}

// grant gives an open that has been entered what it asks for, as far as others let it, MS-FSA 2.1.5.18.
func (t *fileTable) grant(st *fileState, o *open) {
	a := &o.asked
	dir := o.file.IsDir()
	if a.state == 0 && !a.leases || dir && !a.lease.v2 {
		return // directories have leases of version 2 only, MS-SMB2 3.3.5.9.11
	}
	var h *oplock
	if a.leases {
		h = t.leases[a.lease.id]
	}
	asks := a.state
	if dir {
		asks &^= wire.LeaseWrite
	}
	state := asks
	if a.leases && state&wire.LeaseRead == 0 || len(st.locks) > 0 {
		state = 0 // without what was read nothing else is kept, MS-FSA 2.1.5.18; and that would go past others' locks
	}
	for _, other := range st.opens {
		if other == o || h != nil && other.oplock == h {
			continue
		}
		q := other.oplock
		if q != nil && (q.lease != nil || q.state != 0) || other.access&^statAccess != 0 {
			state &^= wire.LeaseWrite // only one can write back
		}
		switch {
		case q == nil:
		case q.state&wire.LeaseWrite != 0:
			state = 0 // this open was not in its way
		case a.leases && q.lease == nil && q.state != 0:
			state &^= wire.LeaseHandle
		case !a.leases && q.state&wire.LeaseHandle != 0:
			state = 0
		}
	}
	if !a.leases {
		if state&wire.LeaseWrite == 0 {
			state &= wire.LeaseRead
		}
		if state = state.Level().State(); state == 0 {
			return
		}
	}
	switch {
	case h == nil:
		h = &oplock{st: st, keepers: &t.keepers}
		if a.leases {
			l := a.lease
			if l.v2 {
				l.epoch++
			}
			h.lease = &l
			if t.leases == nil {
				t.leases = map[leaseID]*oplock{}
			}
			t.leases[l.id] = h
		}
		if dir {
			h.dir = true
			t.dirLeases.Add(1)
		}
		h.setState(state)
		st.oplocks = append(st.oplocks, h)
	case !h.breaking && state == asks && state&h.state == h.state && state != h.state:
		h.setState(state) // all that was asked for, and more than before
		h.told = breakNotice{}
		h.lease.epoch++
	}
	h.opens = append(h.opens, o)
	o.oplock = h
}

// giveUp takes an open that is closed out of its oplock. An oplock ends with its open, a lease with its last.
func (t *fileTable) giveUp(o *open) {
	h := o.oplock
	if h == nil {
		return
	}
	o.oplock = nil
	h.opens = slices.DeleteFunc(h.opens, func(other *open) bool { return other == o })
	if len(h.opens) > 0 {
		t.tellOthers(h, o)
		return
	}
	if h.timer != nil {
		h.timer.Stop()
		h.awaited.Store(false)
	}
	h.breaking, h.timer = false, nil
	h.setState(0)
	h.st.oplocks = slices.DeleteFunc(h.st.oplocks, func(other *oplock) bool { return other == h })
	if h.lease != nil {
		delete(t.leases, h.lease.id)
	}
	if h.dir {
		t.dirLeases.Add(-1)
	}
}

// changes takes what others have read away when an open changes the file: a WRITE, a lock, a new size. A client's own lease
// stays, an open's own oplock of level II does not (MS-FSA 2.1.4.12). Files of which nobody else keeps anything, nearly all,
// cost an atomic load or two.
func (t *fileTable) changes(o *open) { t.outdate(o, true) }

// cut takes away what others have read since an open was admitted that cuts the file: what they had before, the admission has taken.
func (t *fileTable) cut(o *open) { t.outdate(o, false) }

func (t *fileTable) outdate(o *open, own bool) {
	n := o.state.caching.Load()
	if n == 0 || n == 1 && o.oplock != nil && o.oplock.keeps() {
		return
	}
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outdates(o, own)
}

// outdates is changes under the table's lock, or cut, if the open's own oplock is to stay.
func (t *fileTable) outdates(o *open, own bool) {
	for _, h := range slices.Clone(o.state.oplocks) {
		if o.oplock != h || own && !h.keeps() {
			t.demote(h, 0)
		}
	}
}

// keeps reports whether it caches what its own opens write: of oplocks, those of level II don't.
func (h *oplock) keeps() bool {
	s := wire.LeaseState(h.shown.Load())
	return s&wire.LeaseRead != 0 && (h.lease != nil || s&wire.LeaseWrite != 0)
}

// askLease asks for a lease, of which every version is taken in every dialect that has leases (MS-SMB2 3.3.5.9.8 and 3.3.5.9.11).
func (a *asked) askLease(c *Conn, s *session, b wire.LeaseContext) {
	if c.dialect < wire.Dialect210 {
		return
	}
	l := lease{id: leaseID{s.client, b.Key()}}
	if b.V2() && c.dialect >= wire.Dialect300 {
		l.v2, l.epoch = true, b.Epoch()
		l.hasParent, l.parent = b.Flags()&wire.LeaseParentKeySet != 0, b.Parent()
	}
	*a = asked{state: b.State() & wire.LeaseAll, leases: true, lease: l}
}

// leased tells whether the client holds the lease that it asks for.
func (t *fileTable) leased(a *asked) bool {
	if !a.leases {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leases[a.lease.id] != nil
}

// held is what the answer to a CREATE says of the oplock.
type held struct {
	level wire.OplockLevel
	state wire.LeaseState
	flags uint32
	lease lease
}

func (t *fileTable) held(o *open) (a held) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := o.oplock
	switch {
	case h == nil:
		return a
	case h.lease == nil:
		a.level = h.state.Level()
		return a
	}
	a = held{level: wire.OplockLease, state: h.state, lease: *h.lease}
	if h.breaking {
		a.flags = wire.LeaseBreakInProgress
	}
	return a
}

func (a *held) size() int {
	if a.lease.v2 {
		return wire.LeaseV2ContextSize
	}
	return wire.LeaseContextSize
}

// put writes the lease's create context, MS-SMB2 2.2.14.2.10 and 2.2.14.2.11.
func (a *held) put(b wire.LeaseContext) {
	l := &a.lease
	if l.hasParent {
		a.flags |= wire.LeaseParentKeySet
	}
	b.Put(l.id.key, a.state, a.flags)
	if l.v2 {
		b.PutV2(l.parent, l.epoch)
	}
}

// waitForOplock has a request wait until an oplock of the file's is broken, under the table's lock.
func (c *Conn) waitForOplock(r *request, w *reply, st *fileState) wire.Status {
	p, status := c.parkAgain(r, w, openers{&c.srv.files, st})
	if status != wire.StatusOK {
		return status
	}
	st.openers = append(st.openers, p)
	return wire.StatusPending
}

// openers are where requests wait for an oplock to be broken.
type openers struct {
	t  *fileTable
	st *fileState
}

func (q openers) withdraw(p *pending) bool {
	q.t.mu.Lock()
	defer q.t.mu.Unlock()
	n := len(q.st.openers)
	q.st.openers = slices.DeleteFunc(q.st.openers, func(other *pending) bool { return other == p })
	return len(q.st.openers) < n
}

// retry has those who wait for the file try again.
func (s *fileState) retry() {
	for _, p := range s.openers {
		p.settle(wire.StatusOK, nil)
	}
	s.openers = nil
}
