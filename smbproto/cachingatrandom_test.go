package smbproto

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ustack/smbproto/wire"
)

// message is the request itself.
func (w *cachedWait) message() []byte {
	p := w.conn
	switch w.what {
	case "open":
		x := &w.wish
		msg := p.oplockMsg(backslashed(x.name), x.opening, x.level)
		var list []createContext
		if x.level == wire.OplockLease {
			b := make(wire.LeaseContext, wire.LeaseV2ContextSize)
			flags := uint32(0)
			if x.parent != 0 {
				flags = wire.LeaseParentKeySet
			}
			b.Put(wire.LeaseKey{x.key}, x.state, flags)
			b.PutV2(wire.LeaseKey{x.parent}, x.epoch)
			list = append(list, createContext{wire.ContextLease, b})
		}
		if x.guid != 0 {
			list = append(list, durableV2(x.guid, time.Hour))
		}
		if len(list) > 0 {
			msg = withContexts(msg, list...)
		}
		return msg
	case "rename":
		return p.setMsg(w.open.id, wire.FileRenameInformation, renameInfo(backslashed(w.to), w.repl))
	case "delete":
		return p.setMsg(w.open.id, wire.FileDispositionInformation, []byte{1})
	case "close":
		return p.closeMsg(w.open.id)
	}
	return p.lockMsg(w.open.id, 0, 1, wire.LockExclusive)
}

// do makes a request, and holds its answer to the model.
func (m *caching) do(w *cachedWait) {
	m.note("client %d: %s %v %+v -> %q", w.conn.guid[0], w.what, w.idOfOpen(), w.wish.summary(), w.to)
	r, rest := m.ask(w.conn, w.message())
	o, s := m.run(w, false)
	m.note("  %v, by the model %v", status(r), s)
	if status(r) != s {
		m.fatal("%s: %v, want %v", w.what, status(r), s)
	}
	if s == wire.StatusPending {
		w.async, w.at = wire.Header(r).AsyncID(), m.files[w.wish.name]
		m.waits = append(m.waits, w)
	} else if o != nil {
		m.opened(w, o, r)
	}
	for _, x := range rest {
		m.hear(w.conn, x)
	}
}

func (w *cachedWait) idOfOpen() any {
	if w.open == nil {
		return ""
	}
	return w.open.id
}

func (w *wish) summary() string {
	if w.client == nil {
		return ""
	}
	return fmt.Sprintf("%q access %#x share %d disposition %d options %#x level %#x state %v key %d parent %d guid %d", w.name, w.access, w.share, w.disposition, w.options, w.level, w.state, w.key, w.parent, w.guid)
}

// opened holds what a CREATE has been answered to what the open has.
func (m *caching) opened(w *cachedWait, o *cachedOpen, r []byte) {
	o.id = wire.ReadFileID(r[128:])
	level := wire.OplockLevel(r[66])
	switch h := o.h; {
	case h == nil && level != 0:
		m.fatal("level %#x, want none", level)
	case h == nil:
	case h.key == 0:
		if level != h.state.Level() {
			m.fatal("level %#x, want %v", level, h)
		}
	default:
		l := wire.LeaseContext(w.conn.context(r, wire.ContextLease))
		if level != wire.OplockLease || l.State() != h.state || l.Epoch() != h.epoch || (l.Flags()&wire.LeaseBreakInProgress != 0) != h.breaking {
			m.fatal("lease %v, epoch %d, flags %#x; want %v, %d", l.State(), l.Epoch(), l.Flags(), h, h.epoch)
		}
	}
	if got := w.conn.context(r, wire.ContextDurableRequestV2) != nil; got != o.durable {
		m.fatal("durable: %v, want %v", got, o.durable)
	}
}

// ask sends a message, and returns its answer and what else has come with it.
func (m *caching) ask(p *member, msg []byte) (r []byte, rest [][]byte) {
	id := wire.Header(msg).MessageID()
	if err := p.feed(frame(msg)); err != nil {
		m.fatal("%v", err)
	}
	for x := p.reply(); x != nil; x = p.reply() {
		if r == nil && wire.Header(x).MessageID() == id {
			r = x
		} else {
			rest = append(rest, x)
		}
	}
	if r == nil {
		m.fatal("%v has no answer", wire.Header(msg).Command())
	}
	return r, rest
}

// listen has all hear what there is to be heard.
func (m *caching) listen() {
	for more := true; more; {
		more = false
		for _, c := range m.clients {
			for _, p := range c.conns {
				if !p.c.settled.some.Load() {
					continue
				}
				more = true
				if err := p.feed(nil); err != nil {
					m.fatal("%v", err)
				}
				for x := p.reply(); x != nil; x = p.reply() {
					m.hear(p, x)
				}
			}
		}
	}
}

// hear takes what the server says of its own accord.
func (m *caching) hear(p *member, x []byte) {
	h := wire.Header(x)
	if h.MessageID() != ^uint64(0) {
		i := slices.IndexFunc(m.waits, func(w *cachedWait) bool { return w.async == h.AsyncID() })
		if i < 0 {
			m.fatal("%v %d is answered, and does not wait", h.Command(), h.AsyncID())
		}
		w := m.waits[i]
		for _, before := range m.waits[:i] {
			if before.conn == p && before.where() == w.where() { // it was tried again, too
				m.nudge(before)
			}
		}
		m.waits = slices.Delete(m.waits, i, i+1)
		o, s := m.run(w, true)
		m.note("  %s %d is answered %v, by the model %v", w.what, w.async, status(x), s)
		if status(x) != s || w.conn != p {
			m.fatal("%s is answered %v, want %v", w.what, status(x), s)
		}
		if o != nil {
			m.opened(w, o, x)
		}
		return
	}
	m.told[p] = append(m.told[p], x)
	told := m.toldOf(p, x)
	if told != nil && !told.due {
		for _, w := range m.inTurn() { // one that waits may have been tried again
			m.nudge(w)
		}
	}
	if (told == nil || !told.due) && slices.ContainsFunc(m.lost, func(b []byte) bool { return string(b) == string(x) }) {
		m.note("  told again: % x", x[64:])
		return // the connection over which it was told has ended since
	}
	if told == nil {
		m.fatal("a notification of what the client has not: % x", x[64:])
	}
	m.note("  told: %v", told)
	if !told.due {
		m.fatal("%v is told, and nobody is in its way", told)
	}
	told.due = false
	if told.key == 0 {
		if b := wire.OplockBreak(x); b.Level() != told.dueTo.Level() {
			m.fatal("%v is told of level %#x, want %v", told, b.Level(), told.dueTo)
		}
		return
	}
	want := make([]byte, wire.LeaseBreakSize)
	wire.PutUnasked(want, wire.CommandOplockBreak)
	wire.LeaseBreak(want).Put(wire.LeaseKey{told.key}, told.dueFrom, told.dueTo, told.epoch, told.dueAck)
	if string(want) != string(x) {
		m.fatal("%v is told\n% x, want\n% x", told, x[64:], want[64:])
	}
}

// nudge breaks what a request that waits finds in its way when it is tried again, and waits once more.
func (m *caching) nudge(w *cachedWait) {
	switch {
	case w.what == "open":
		if f := m.files[w.wish.name]; f != nil && !f.pending() {
			m.clear(f, &w.wish, true, w.wish.violates(f))
		}
	case w.what != "lock" && !w.open.closed:
		m.want(w.open.file, w.open)
		if f := m.files[w.to]; w.what == "rename" && w.repl && f != nil {
			m.want(f, w.open)
		}
	}
}

// where is the file for which a request waits.
func (w *cachedWait) where() *cachedFile {
	if w.open != nil {
		return w.open.file
	}
	return w.at
}

// inTurn are the requests that wait, in the order in which listen has them tried again.
func (m *caching) inTurn() []*cachedWait {
	turn := func(w *cachedWait) int {
		for _, c := range m.clients {
			if i := slices.Index(c.conns, w.conn); i >= 0 {
				return 10*c.index + i
			}
		}
		return -1
	}
	return slices.SortedStableFunc(slices.Values(m.waits), func(a, b *cachedWait) int { return turn(a) - turn(b) })
}

// toldOf is the holder that a notification is about.
func (m *caching) toldOf(p *member, x []byte) *holder {
	for _, f := range m.files {
		for _, h := range f.holders {
			if h.client.conns == nil || !slices.Contains(h.client.conns, p) {
				continue
			}
			if le.Uint16(x[64:]) == 44 && h.key != 0 && x[72] == h.key ||
				le.Uint16(x[64:]) == 24 && h.key == 0 && wire.OplockBreak(x).FileID() == h.opens[0].id {
				return h
			}
		}
	}
	return nil
}

// check looks at what must be so between requests.
func (m *caching) check() {
	for name, f := range m.files {
		for _, h := range f.holders {
			if h.due {
				m.fatal("%v is not told that it comes to %v", h, h.dueTo)
			}
			if h.has && h.state&cachedR != 0 && !h.breaking && string(h.cached) != string(f.data) {
				m.fatal("%v keeps %q, and the file has %q", h, h.cached, f.data)
			}
			for _, q := range f.holders {
				if q != h && !h.breaking && !q.breaking && h.state&cachedW != 0 && q.state != 0 {
					m.fatal("%v beside %v", h, q)
				}
			}
		}
		if f.name != name {
			m.fatal("%q is called %q", f.name, name)
		}
		if f.dir {
			continue
		}
		got, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(name)))
		if err != nil || string(got) != string(f.data) {
			m.fatal("%q has %q, %v; want %q", name, got, err, f.data)
		}
	}
	for _, w := range m.waits {
		if !m.inTheWay(w) {
			m.fatal("%s %d of client %d waits for nothing", w.what, w.async, w.conn.guid[0])
		}
	}
	if n := m.srv.Stats().Disconnected; int(n) != len(m.absent) {
		m.fatal("%d opens are kept, want %d", n, len(m.absent))
	}
	t := &m.srv.files
	t.mu.Lock()
	defer t.mu.Unlock()
	leases := 0
	for _, f := range m.files {
		for _, h := range f.holders {
			if h.key != 0 {
				leases++
			}
		}
	}
	if len(t.leases) != leases {
		m.fatal("%d leases, want %d", len(t.leases), leases)
	}
}

func (m *caching) connects(c *cacher) {
	a := newArea(m.t, m.srv)
	a.Bind(&tcp{a: a})
	p := connectOver(m.t, m.srv, m.dir, a)
	p.guid = [16]byte{byte(c.index + 1)}
	x := (&member{peer: p}).negotiate(wire.Dialect302)
	if len(c.conns) == 0 {
		x.logOn(c.name, c.password).toShare()
	} else {
		if s := x.bind(c.conns[0], binding{name: c.name, password: c.password}); s != wire.StatusOK {
			m.fatal("binding: %v", s)
		}
	}
	c.conns = append(c.conns, x)
}

// hangsUp ends a connection, and with the last the session.
func (m *caching) hangsUp(c *cacher, p *member) {
	m.note("client %d hangs up one of %d", c.index+1, len(c.conns))
	p.hangUp()
	m.lost = append(m.lost, m.told[p]...)
	m.waits = slices.DeleteFunc(m.waits, func(w *cachedWait) bool { return w.conn == p })
	if c.conns = slices.DeleteFunc(c.conns, func(x *member) bool { return x == p }); len(c.conns) > 0 {
		return
	}
	var all []*cachedOpen
	for f := range m.inOrder() {
		for _, o := range f.opens {
			if o.client == c && !o.away {
				all = append(all, o)
			}
		}
	}
	for _, o := range all {
		if o.durable && o.h != nil && o.h.state&cachedH != 0 && !o.h.breaking {
			o.away = true
			m.absent = append(m.absent, o)
			o.h.has = false
		}
	}
	for _, o := range all {
		if !o.away && !o.closed {
			m.leave(o)
		}
	}
	for _, f := range m.files {
		for _, h := range f.holders {
			if h.client == c {
				h.due = false // nobody is there to be told
			}
		}
	}
}

// inOrder are the files that there are at first, by name.
func (m *caching) inOrder() iter.Seq[*cachedFile] {
	var all []*cachedFile
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		all = append(all, m.files[name])
	}
	return slices.Values(all)
}

func (m *caching) anyOpen(which func(o *cachedOpen) bool) *cachedOpen {
	var all []*cachedOpen
	for f := range m.inOrder() {
		for _, o := range f.opens {
			if which(o) {
				all = append(all, o)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[m.r.IntN(len(all))]
}

func (m *caching) connOf(c *cacher) *member { return c.conns[m.r.IntN(len(c.conns))] }

var cachedNames = []string{"a", "b", `d/x`, `d/y`}

func backslashed(name string) string { return strings.ReplaceAll(name, "/", `\`) }

func (m *caching) wishes(c *cacher) (w wish) {
	r := m.r
	w = wish{client: c, name: oneOf(r, cachedNames...), epoch: uint16(r.IntN(9))}
	w.opening = opening{
		access: oneOf(r, wire.AccessAll, wire.AccessAll, wire.AccessReadData|wire.AccessReadAttributes, wire.AccessReadAttributes, wire.AccessWriteData),
		share:  oneOf(r, shareAll, shareAll, shareAll, shareAll, wire.ShareRead, wire.ShareRead|wire.ShareWrite, 0), disposition: oneOf(r, wire.Open, wire.OpenIf, wire.OpenIf, wire.OverwriteIf, wire.Create, wire.Overwrite),
	}
	if w.access == wire.AccessAll && r.IntN(8) == 0 {
		w.options = wire.OptionDeleteOnClose
	}
	if r.IntN(5) == 0 {
		w.name, w.access, w.share, w.disposition, w.options = oneOf(r, "", "d"), wire.AccessReadData|wire.AccessReadAttributes, shareAll, wire.Open, wire.OptionDirectory
	}
	switch r.IntN(5) {
	case 0:
	case 1:
		w.level = oneOf(r, wire.OplockII, wire.OplockExclusive, wire.OplockBatch, wire.OplockBatch)
		if w.options&wire.OptionDirectory != 0 {
			w.level = 0
		}
	default:
		w.level, w.key = wire.OplockLease, byte(1+r.IntN(2)+2*max(0, slices.Index(cachedNames, w.name)))
		w.state = oneOf(r, cachedR, cachedR|cachedH, cachedR|cachedW, wire.LeaseAll, wire.LeaseAll, 0)
		if w.options&wire.OptionDirectory != 0 {
			w.key = byte(20 + len(w.name))
		} else if r.IntN(2) == 0 {
			w.parent = oneOf[byte](r, 20, 9) // which may be another's
			if filepath.Dir(w.name) == "d" {
				w.parent++
			}
		}
	}
	if w.options&wire.OptionDirectory == 0 && w.level != 0 && r.IntN(2) == 0 {
		m.guids++
		w.guid = m.guids | 1
		m.guids++
	}
	return w
}

// step has somebody do something.
func (m *caching) step() {
	r := m.r
	c := oneOf(r, m.clients...)
	if len(c.conns) == 0 {
		m.connects(c)
		return
	}
	mine := m.anyOpen(func(o *cachedOpen) bool { return o.client == c && !o.away })
	p := m.connOf(c)
	switch n := r.IntN(100); {
	case n < 30 || mine == nil:
		m.do(&cachedWait{what: "open", conn: p, wish: m.wishes(c)})
	case n < 45:
		m.do(&cachedWait{what: "close", conn: p, open: mine})
	case n < 52:
		m.writes(p, mine, n%2 == 0)
	case n < 60:
		m.reads(p, mine)
	case n < 64:
		if mine.file.dir || mine.access&(cachedReads|cachedWrites) == 0 || mine.file.locked == mine || len(m.waits) > 4 {
			return
		}
		m.do(&cachedWait{what: "lock", conn: p, open: mine})
	case n < 68:
		if holds := m.anyOpen(func(o *cachedOpen) bool { return o.file.locked == o && !o.away }); holds != nil {
			m.note("client %d unlocks %v", holds.client.index+1, holds.id)
			holds.file.locked = nil
			p := m.connOf(holds.client)
			_, rest := m.ask(p, p.lockMsg(holds.id, 0, 1, wire.LockUnlock))
			for _, x := range rest {
				m.hear(p, x)
			}
		}
	case n < 75:
		if !mine.file.dir {
			m.do(&cachedWait{what: "rename", conn: p, open: mine, to: oneOf(r, cachedNames...), repl: r.IntN(2) == 0})
		}
	case n < 78:
		if !mine.file.dir {
			m.do(&cachedWait{what: "delete", conn: p, open: mine})
		}
	case n < 82:
		// A CREATE that can be replayed would go on over another channel, and nobody be answered.
		if !slices.ContainsFunc(m.waits, func(w *cachedWait) bool { return w.conn == p && w.wish.guid != 0 }) || len(c.conns) == 1 {
			m.hangsUp(c, p)
		}
	case n < 86:
		if len(c.conns) < 2 {
			m.connects(c)
		}
	case n < 90:
		m.comesBack(c)
	case n < 91:
		m.note("nobody answers")
		for f := range m.inOrder() {
			for _, h := range slices.Clone(f.holders) {
				if h.breaking {
					m.acknowledged(h, 0)
				}
			}
		}
		time.Sleep(oplockTimeout + time.Second)
		synctest.Wait()
	}
}

func (m *caching) writes(p *member, o *cachedOpen, cuts bool) {
	if o.file.dir || o.access&wire.AccessWriteData == 0 {
		return
	}
	data := []byte{byte('a' + m.r.IntN(26))}
	msg := p.writeMsg(o.id, 0, data)
	want := wire.StatusOK
	if cuts {
		msg = p.setMsg(o.id, wire.FileEndOfFileInformation, make([]byte, 8))
		data = nil
	} else if l := o.file.locked; l != nil && l != o {
		want = wire.StatusFileLockConflict
	}
	m.note("client %d writes %q to %v, %q", p.guid[0], data, o.id, o.file.name)
	res, rest := m.ask(p, msg)
	if status(res) != want {
		m.fatal("written: %v, want %v", status(res), want)
	}
	if want == wire.StatusOK {
		m.changes(o)
		o.wrote, o.file.data = true, data
		if h := o.h; h != nil && h.has {
			h.cached = data
		}
	}
	for _, x := range rest {
		m.hear(p, x)
	}
}

func (m *caching) reads(p *member, o *cachedOpen) {
	if o.file.dir || o.access&wire.AccessReadData == 0 {
		return
	}
	res, rest := m.ask(p, p.readMsg(o.id, 0, 1))
	want := wire.StatusOK
	switch l := o.file.locked; {
	case l != nil && l != o:
		want = wire.StatusFileLockConflict
	case len(o.file.data) == 0:
		want = wire.StatusEndOfFile
	}
	if status(res) != want || want == wire.StatusOK && string(res[80:]) != string(o.file.data) {
		m.fatal("read from %q: %v, want %v", o.file.name, status(res), want)
	}
	if h := o.h; h != nil && h.state&cachedR != 0 && want != wire.StatusFileLockConflict {
		h.has, h.cached = true, o.file.data
	}
	for _, x := range rest {
		m.hear(p, x)
	}
}

// comesBack reclaims an open that is kept.
func (m *caching) comesBack(c *cacher) {
	i := slices.IndexFunc(m.absent, func(o *cachedOpen) bool { return o.client == c })
	if i < 0 {
		return
	}
	o := m.absent[i]
	p := m.connOf(c)
	list := []createContext{reconnectV2(o.id, o.guid)}
	if o.key != 0 {
		b := make(wire.LeaseContext, wire.LeaseV2ContextSize)
		b.Put(wire.LeaseKey{o.key}, 0, 0)
		list = append(list, createContext{wire.ContextLease, b})
	}
	m.note("client %d comes back for %v, %q", c.index+1, o.id, o.file.name)
	res, rest := m.ask(p, withContexts(p.createMsg(backslashed(o.file.name), anyOpen), list...))
	if status(res) != wire.StatusOK {
		m.fatal("it does not come back: %v", status(res))
	}
	m.absent = slices.Delete(m.absent, i, i+1)
	o.away, o.id = false, wire.ReadFileID(res[128:])
	if l := wire.OplockLevel(res[66]); o.key == 0 && l != o.h.state.Level() {
		m.fatal("it comes back with %#x, want %v", l, o.h)
	}
	for _, x := range rest {
		m.hear(p, x)
	}
}

// acks has those who were told acknowledge, or not, or wrongly.
func (m *caching) acks(all bool) {
	for f := range m.inOrder() {
		for _, h := range slices.Clone(f.holders) {
			if !h.breaking || !all && m.r.IntN(3) > 0 || !h.present() {
				continue
			}
			m.answersBreak(h, all)
			m.listen()
			m.check()
		}
	}
}

func (m *caching) answersBreak(h *holder, rightly bool) {
	p := m.connOf(h.client)
	var msg []byte
	want, s, ends := wire.StatusOK, h.breakTo, true
	switch how := m.r.IntN(6); {
	case rightly:
	case how == 0:
		s &= cachedR
	case how == 1 && h.key != 0:
		s, want, ends = wire.LeaseAll, wire.StatusRequestNotAccepted, h.breakTo == wire.LeaseAll
	case how == 1:
		want = wire.StatusInvalidOplockProtocol
	}
	if h.key != 0 {
		msg = p.leaseAckMsg(h.key, s)
	} else {
		level := s.Level()
		if want != wire.StatusOK {
			level, s = wire.OplockExclusive, 0
		}
		msg = p.ackMsg(h.opens[0].id, level)
	}
	m.note("client %d acknowledges %v by %v", p.guid[0], h, s)
	r, rest := m.ask(p, msg)
	if status(r) != want {
		m.fatal("acknowledged: %v, want %v", status(r), want)
	}
	if ends {
		m.acknowledged(h, s)
	}
	for _, x := range rest {
		m.hear(p, x)
	}
}

// Clients that open, change, lock, rename and delete the same few files, lose their connections and come back, are told of what others take from
// them when they must be, and of nothing else; who waits is answered.
func TestWhatClientsCacheIsWhatAModelSays(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { cacheAtRandom(t, seed, 400) }) })
	}
}

func cacheAtRandom(t *testing.T, seed uint64, steps int) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := &caching{
		t: t, dir: dir, srv: newServerIn(t, dir, nil), r: rand.New(rand.NewPCG(seed, 1)), told: map[*member][][]byte{},
		files:   map[string]*cachedFile{"": {dir: true}, "d": {name: "d", dir: true}},
		clients: []*cacher{{0, "alice", "secret", nil}, {1, "bob", "hidden", nil}, {2, "alice", "secret", nil}},
	}
	for range steps {
		m.step()
		m.listen()
		m.check()
		m.acks(false)
	}
	for range 20 {
		m.acks(true)
	}
	for _, w := range m.waits {
		if w.what != "lock" {
			m.fatal("%s %d is never answered", w.what, w.async)
		}
	}
}
