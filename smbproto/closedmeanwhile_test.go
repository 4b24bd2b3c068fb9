package smbproto

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// A disturbed visitor makes requests of all kinds, of what others close meanwhile.
type disturbed struct {
	*visitor
	all1 []request1
	all2 []request2
}

func (v *disturbed) asks() []byte {
	r := v.r
	switch {
	case r.IntN(3) == 0:
		return v.next()
	case v.p1 != nil:
		return frame(v.asks1())
	case r.IntN(3) == 0: // an instance moves, or comes back
		if id, ok := v.kept(); ok && r.IntN(2) == 0 {
			return frame(withContexts(v.createMsg("", anyOpen), reconnectV2(id, 1)))
		}
		k := byte(r.IntN(3))
		return frame(withContexts(v.oplockMsg(fmt.Sprint("moves", k), anyOpen, wire.OplockBatch), durableV2(1, time.Minute), instance(1+k)))
	}
	q := oneOf(r, v.all2...)
	if r.IntN(4) > 0 || !q.onOpen {
		return frame(q.msg(v.peer, v.id()))
	}
	name, o := v.what()
	return frame(chainOf(true, v.createMsg(name, o), q.msg(v.peer, wire.FileIDNone), v.readMsg(wire.FileIDNone, 0, 10)))
}

// asks1 is more often than of others one of a call that does more than to open.
func (v *disturbed) asks1() []byte {
	r, p, now := v.r, v.p1, uint32(time.Now().Unix())
	name := oneOf(r, "one", "two", `d\three`)
	raw := append(utf16le(name), 0, 0)
	switch r.IntN(10) {
	case 0:
		m := p.openXMsg(name, 0x42, 0x12, 10)
		le.PutUint32(m[wire.SMB1HeaderSize+1+12:], now)
		return m
	case 1:
		return p.msg(oneOf(r, wire.SMB1Create, wire.SMB1CreateNew, wire.SMB1CreateTemporary), words(uint16(0), now), append([]byte{4, 0}, raw...))
	case 2:
		return p.createMsg1(name, all1, smb1CreateExtended|smb1CreateBatch)
	case 3, 4, 5:
		return p.posixOpenMsg("/"+oneOf(r, "one", "two"), wire.SMB1PosixReadWrite|wire.SMB1PosixCreate|wire.SMB1PosixTruncate, 0o600)
	}
	return oneOf(r, v.all1...).msg(p, oneOf(r, append(v.fids[max(len(v.fids)-5, 0):], 1)...))
}

// kept is an open that somebody can come back for.
func (v *disturbed) kept() (id wire.FileID, ok bool) {
	t := &v.srv.files
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok = len(t.absent) > 0; ok {
		id = oneOf(v.r, t.absent...).id
	}
	return id, ok
}

func (v *disturbed) stays(until time.Time) {
	if v.r.IntN(2) == 0 {
		v.lent()
		if !v.arrives1() {
			return
		}
		unix := words(uint16(1), uint16(0), wire.SMB1UnixPathnames)
		v.say(frame(v.p1.trans2(4, len(unix), words(uint16(0), uint16(wire.SMB1FsUnix)), unix)))
	} else if !v.arrives(v.r.IntN(2) == 0) {
		return
	}
	session := v.session
	for n := 0; n < 100 && time.Now().Before(until); n++ {
		if v.session = session; !v.say(v.asks()) {
			return
		}
		for acks := v.listen(); len(acks) > 0; acks = v.listen() {
			if !v.say(frame(acks[0])) {
				return
			}
		}
	}
}

func everySession(srv *Server) []*session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Values(srv.sessions))
}

// outOfTime has the time of breaks, of locks that wait and of opens that are kept be over.
func outOfTime(t *fileTable) {
	var over []func()
	t.mu.Lock()
	for _, st := range t.files {
		for _, h := range st.oplocks {
			round := h.rounds
			over = append(over, func() { t.timeout(h, round) })
		}
		for _, l := range st.waiting {
			if l.p.smb1.timer != nil {
				over = append(over, func() { lockQueue{t, st}.expire(l.p) })
			}
		}
	}
	for _, o := range t.absent {
		over = append(over, func() { t.expire(o) })
	}
	t.mu.Unlock()
	for _, f := range over {
		f()
	}
}

// disturb closes something of others'.
func disturb(t *testing.T, srv *Server, dir string, settings func(*Config), r *rand.Rand) {
	switch r.IntN(40) {
	case 0, 1, 2: // a share goes, perhaps, and comes back
		for left := r.IntN(2); left >= 0; left-- {
			cfg := testConfig(dir)
			settings(&cfg)
			cfg.Shares = cfg.Shares[left:]
			if _, err := srv.Reconfigure(cfg); err != nil {
				t.Error(err)
			}
		}
	case 3:
		path := filepath.Join(dir, oneOf(r, "one", "two", "d/three"))
		_ = errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(dir, "d"), 0o755), os.WriteFile(path, pattern(1<<20), 0o644))
	case 4:
		srv.files.evictOldest()
	case 5, 6: // tickets end, and others are shown
		for _, s := range everySession(srv) {
			s.expires.Store(int64(r.IntN(4) / 3))
		}
	case 7: // a session ends by another's log-on
		if all := everySession(srv); len(all) > 0 {
			_ = oneOf(r, all...).end()
		}
	case 8, 9: // nobody waits any longer
		outOfTime(&srv.files)
	default: // trees of SMB1 go as soon as something of them is open; the next request connects them again
		for _, s := range everySession(srv) {
			s.mu.Lock()
			ends := len(s.opens) > 0 && len(s.channels) > 0 && s.channels[0].conn.smb1 != nil
			s.mu.Unlock()
			if !ends {
				continue
			}
			for _, t := range s.treesOf("pub") {
				_, _ = s.endTree(t)
			}
		}
	}
}

// What somebody uses is closed meanwhile by others, in every way that there is: shares go and come back, sessions end by others' log-ons and
// with their connections, instances move, what was kept is evicted, and files are replaced on disk. Nothing panics, and nothing is left.
func TestWhatIsUsedIsClosedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	settings := func(c *Config) { allowSMB1(c); watched(c) }
	srv := newServerIn(t, dir, settings)
	if _, err := srv.watcher(); err != nil { // it stays
		t.Fatal(err)
	}
	const visitors = 6
	in, out := srv.RingSize()
	pool, err := ioarea.NewPool(in, 2*out, visitors)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	defer func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("seed %#x", seed)
		}
	}()
	before, ends := descriptors(t), time.Now().Add(3*time.Second)
	all1, all2 := everyRequest1(), everyRequest2()
	known := new(visited)
	var here sync.WaitGroup
	for i := range visitors {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		here.Go(func() {
			for time.Now().Before(ends) {
				a, err := pool.Get()
				if err != nil {
					t.Error(err)
					return
				}
				v := &disturbed{&visitor{peer: &peer{t: t, dir: dir, srv: srv, a: a, c: srv.NewConn(a)}, r: r, known: known}, all1, all2}
				v.stays(ends)
				_ = v.c.Close() // what is to be deleted may be there no more
				if err := pool.Put(a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for r := rand.New(rand.NewPCG(seed, visitors)); time.Now().Before(ends); disturb(t, srv, dir, settings, r) {
		time.Sleep(time.Duration(r.IntN(200)) * time.Microsecond)
	}
	here.Wait()
	srv.files.evictAll(func(*open) bool { return true })
	if left := srv.left(); left != nil {
		t.Errorf("left: %v", left)
	}
	srv.loans.Close() // files that were read stay mapped for a while
	if now := descriptors(t); len(now) > len(before) {
		t.Errorf("descriptors before: %q, now: %q", before, now)
	}
}
