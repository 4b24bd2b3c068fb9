package smbproto

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// chainOf makes a compound of requests; those from the second on are related.
func chainOf(related bool, msgs ...[]byte) (all []byte) {
	for i, m := range msgs {
		h := wire.Header(m)
		if related && i > 0 {
			h.PutFlags(h.Flags() | wire.FlagRelated)
		}
		if i < len(msgs)-1 {
			m = pad(m)
			wire.Header(m).PutNextCommand(uint32(len(m)))
		}
		all = append(all, m...)
	}
	return all
}

// askAll sends a compound and cuts the answer up. A request that waits, behind others, has its interim answer in a frame of its own.
func (p *peer) askAll(msg []byte) (answers [][]byte) {
	p.t.Helper()
	for r := p.ask(msg); len(r) > 0; {
		first, rest, err := element(r)
		if err != nil {
			p.t.Fatal(err)
		}
		answers = append(answers, first)
		r = rest
	}
	if n := len(answers); n < remaining(msg) && status(answers[n-1]) != wire.StatusPending && p.interimIsNext() {
		answers = append(answers, p.reply())
	}
	return answers
}

func (p *peer) interimIsNext() bool {
	const n = wire.FrameHeaderSize + wire.HeaderSize
	b := p.a.Out.Peek(n)
	return len(b) >= n && status(b[wire.FrameHeaderSize:n]) == wire.StatusPending
}

func (p *peer) wantAll(msg []byte, want ...wire.Status) [][]byte {
	p.t.Helper()
	got := p.askAll(msg)
	if len(got) != len(want) {
		p.t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i, m := range got {
		if status(m) != want[i] {
			p.t.Errorf("answer %d, %v: %v, want %v", i, wire.Header(m).Command(), status(m), want[i])
		}
	}
	return got
}

func TestRelatedRequestsShareTheirOpen(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	none := wire.FileIDNone
	all := opening{wire.AccessAll, shareAll, wire.OpenIf, 0}
	got := p.wantAll(chainOf(true,
		p.createMsg("file", all),
		p.writeMsg(none, 0, []byte("hello")),
		p.readMsg(none, 1, 3),
		p.queryMsg(none, wire.InfoFile, uint8(wire.FileStandardInformation), 24),
		p.closeMsg(none),
	), wire.StatusOK, wire.StatusOK, wire.StatusOK, wire.StatusOK, wire.StatusOK)
	if data := got[2][80:83]; string(data) != "ell" {
		t.Errorf("read %q", data)
	}
	for i, m := range got {
		if wire.Header(m).Has(wire.FlagRelated) != (i > 0) {
			t.Errorf("answer %d: related %v", i, !(i > 0))
		}
	}
	if p.content("file") != "hello" {
		t.Errorf("file has %q", p.content("file"))
	}
	if n := p.srv.Stats().Opens; n != 0 {
		t.Errorf("%d opens left", n)
	}
}

// Linux asks for the attributes of a path so: the error of the first must reach all.
func TestErrorsAreCarriedOver(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	none := wire.FileIDNone
	stat := func(name string, class uint8) []byte {
		return chainOf(true,
			p.createMsg(name, opening{wire.AccessReadAttributes, shareAll, wire.Open, 0}),
			p.queryMsg(none, wire.InfoFile, class, 1000),
			p.closeMsg(none))
	}
	p.wantAll(stat("missing", 18), wire.StatusObjectNameNotFound, wire.StatusObjectNameNotFound, wire.StatusObjectNameNotFound)
	p.newFile("file")
	p.wantAll(stat("file", 18), wire.StatusOK, wire.StatusOK, wire.StatusOK)
	p.wantAll(stat("file", 200), wire.StatusOK, wire.StatusInvalidInfoClass, wire.StatusOK)
	// The first can't be related.
	m := chainOf(true, p.request(wire.CommandEcho, 4, nil), p.createMsg("refused", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}), p.closeMsg(none))
	wire.Header(m).PutFlags(wire.FlagRelated)
	p.wantAll(m, wire.StatusInvalidParameter, wire.StatusInvalidParameter, wire.StatusInvalidParameter)
	if _, err := os.Stat(filepath.Join(p.dir, "refused")); err == nil {
		t.Error("what refers to nothing has made a file")
	}
}

// A request in the middle that fails leaves the open to those that follow: else nobody closes it.
func TestACloseThatFollowsAnErrorCloses(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	none := wire.FileIDNone
	cut := p.closeMsg(none)
	cut = cut[:wire.HeaderSize+8]
	for name, middle := range map[string][]byte{
		"an IOCTL":  p.ioctlMsg(wire.FsctlGetReparsePoint, none, nil, 100),
		"too short": cut,
	} {
		t.Run(name, func(t *testing.T) {
			got := p.askAll(chainOf(true, p.createMsg("file", opening{wire.AccessAll, 0, wire.OpenIf, 0}), p.renumber(middle), p.closeMsg(none)))
			if len(got) != 3 || status(got[0]) != wire.StatusOK || !status(got[1]).IsError() || status(got[2]) != wire.StatusOK {
				t.Fatalf("%d answers: %v, %v, %v", len(got), status(got[0]), status(got[1]), status(got[2]))
			}
			if n := p.srv.Stats().Opens; n != 0 {
				t.Errorf("%d opens", n)
			}
		})
	}
}

// renumber gives a message that was made before the next id.
func (p *peer) renumber(m []byte) []byte {
	le.PutUint64(m[24:], p.message)
	p.message++
	return m
}

// A READ in a compound is whole, or refused.
func TestAReadInACompoundIsNotCutShort(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(1<<20))), wire.StatusOK)
	got := p.askAll(chainOf(false, p.charged(p.readMsg(id, 0, 400_000)), p.charged(p.readMsg(id, 0, 900_000))))
	if len(got) != 2 || status(got[0]) != wire.StatusOK || status(got[1]) != wire.StatusInsufficientResources {
		t.Fatalf("%v, %v of %d bytes", status(got[0]), status(got[1]), len(got[1]))
	}
}

// What ends a connection ends the frame, too.
func TestNothingIsDoneBehindWhatEndsAConnection(t *testing.T) {
	p := newPeer(t, nil)
	p.want(p.negotiateMsg(0x0202, 0x0210), wire.StatusOK)
	var msgs [][]byte
	for range 20 {
		msgs = append(msgs, p.setupMsg([]byte("no token")))
	}
	for err := error(nil); err == nil; {
		err = p.feed(frame(chainOf(false, msgs...)))
		for i := range msgs {
			msgs[i] = p.renumber(msgs[i])
		}
	}
	if p.c.refusals != maxRefusals {
		t.Errorf("%d log-ons were tried, at most %d may", p.c.refusals, maxRefusals)
	}
}

func TestUnrelatedRequestsInOneFrame(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.wantAll(chainOf(false,
		p.writeMsg(id, 0, []byte("abc")),
		p.readMsg(wire.FileID{Persistent: 77, Volatile: 77}, 0, 3),
		p.readMsg(id, 0, 3),
		p.closeMsg(id),
	), wire.StatusOK, wire.StatusFileClosed, wire.StatusOK, wire.StatusOK)
}

// Answers that are too long for one frame are not sent in part: a request that has
// no room left is refused.
func TestCompoundIsBoundedByTheLargestReply(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(1<<20))), wire.StatusOK)
	var msgs [][]byte
	for range 4 {
		msgs = append(msgs, p.charged(p.readMsg(id, 0, 1<<20)))
	}
	got := p.askAll(chainOf(false, msgs...))
	total, refused := 0, 0
	for _, m := range got {
		total += len(m)
		if status(m) == wire.StatusInsufficientResources {
			refused++
		}
	}
	if len(got) != 4 || refused < 2 || total > p.c.largestReply {
		t.Errorf("%d answers, %d refused, %d bytes", len(got), refused, total)
	}
	p.want(p.charged(p.readMsg(id, 0, 1<<20)), wire.StatusOK)
}

// However small the out ring is, each message of a compound has its answer, or none has.
func TestACompoundIsAnsweredAsAWholeOrRefused(t *testing.T) {
	const ring = 4096
	fits := (ring - wire.FrameHeaderSize - sealOverhead) / wire.Align8(wire.ErrorSize)
	for _, c := range []struct {
		name  string
		count int
		msg   func(p *peer) []byte
	}{
		{"small answers", fits, func(p *peer) []byte { return p.request(wire.CommandEcho, 4, nil) }},
		{"answers that are greater than the ring", fits, func(p *peer) []byte {
			return p.readMsg(wire.FileID{Persistent: 7, Volatile: 7}, 0, 60_000)
		}},
		{"one too many", fits + 1, func(p *peer) []byte { return p.request(wire.CommandEcho, 4, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			srv := newServerIn(t, dir, nil)
			p := connectOver(t, srv, dir, newAreaOf(t, 1<<20, ring))
			p.logOn("pub")
			var msgs [][]byte
			for range c.count {
				msgs = append(msgs, c.msg(p))
			}
			if c.count > fits {
				p.refused(frame(chainOf(false, msgs...)))
				return
			}
			if got := p.askAll(chainOf(false, msgs...)); len(got) != c.count {
				t.Errorf("%d answers to %d messages", len(got), c.count)
			}
		})
	}
}

func TestRingsThatAreTooSmallAreRefused(t *testing.T) {
	srv := newServerIn(t, t.TempDir(), nil)
	for _, c := range []struct {
		in, out int
		ok      bool
	}{{4096, 1 << 20, false}, {1 << 20, 4096, false}, {LeastRing, LeastRing, true}} {
		if err := CheckRings(c.in, c.out); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrConfig) {
			t.Errorf("rings of %d and %d: %v", c.in, c.out, err)
		}
	}
	a := newAreaOf(t, 4096, 4096)
	if err := srv.Serve(a); !errors.Is(err, ErrConfig) {
		t.Errorf("served: %v", err)
	}
	if ended, err := a.Out.Ended(); !ended || err == nil {
		t.Error("the area was not aborted")
	}
}

func TestWhatCompoundsHaveBesideWhatIsRefused(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	unknown := p.request(wire.CommandCount+200, 4, nil)
	p.wantAll(chainOf(false, p.readMsg(id, 0, 0), unknown, p.readMsg(id, 0, 0)),
		wire.StatusOK, wire.StatusInvalidParameter, wire.StatusOK)
	p.want(p.request(0xFF, 4, nil), wire.StatusInvalidParameter)

	session := p.session
	p.session = ^uint64(0)
	stray := p.closeMsg(id)
	related := p.closeMsg(id)
	p.session = session
	wire.Header(related).PutFlags(wire.FlagRelated)
	last := p.readMsg(id, 0, 0)
	p.wantAll(chainOf(false, p.readMsg(id, 0, 0), stray, related, last),
		wire.StatusOK, wire.StatusUserSessionDeleted, wire.StatusInvalidParameter, wire.StatusOK)
}
