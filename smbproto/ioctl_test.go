package smbproto

import (
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

func (p *peer) ioctlMsg(code uint32, id wire.FileID, in []byte, max int) []byte {
	return p.request(wire.CommandIoctl, 57, func(m []byte) {
		le.PutUint32(m[68:], code)
		id.Put(m[72:])
		le.PutUint32(m[88:], 120)
		le.PutUint32(m[92:], uint32(len(in)))
		le.PutUint32(m[108:], uint32(max))
		le.PutUint32(m[112:], 1)
	}, in...)
}

// validateInput repeats what logOn negotiated.
func validateInput() []byte {
	in := make([]byte, 24)
	le.PutUint16(in[20:], 1)
	le.PutUint16(in[22:], 2)
	return le.AppendUint16(le.AppendUint16(in, 0x0202), 0x0210)
}

func TestControls(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	none := wire.FileIDNone
	for _, c := range []struct {
		what string
		code uint32
		id   wire.FileID
		in   []byte
		max  int
		want wire.Status
	}{
		{"referrals", wire.FsctlDFSGetReferrals, none, make([]byte, 20), 1000, wire.StatusFSDriverRequired},
		{"resume key", wire.FsctlRequestResumeKey, id, nil, 32, wire.StatusOK},
		{"resume key, no room", wire.FsctlRequestResumeKey, id, nil, 31, wire.StatusInvalidParameter},
		{"resume key of no open", wire.FsctlRequestResumeKey, none, nil, 32, wire.StatusFileClosed},
		{"unknown, of no open", 0x12345678, none, nil, 1000, wire.StatusFileClosed},
		{"object id", wire.FsctlCreateOrGetObjectID, id, nil, 64, wire.StatusOK},
		{"object id that is there", wire.FsctlGetObjectID, id, nil, 64, wire.StatusOK},
		{"object id, no room", wire.FsctlCreateOrGetObjectID, id, nil, 63, wire.StatusInvalidParameter},
		{"compression", wire.FsctlGetCompression, id, nil, 2, wire.StatusOK},
		{"compression, no room", wire.FsctlGetCompression, id, nil, 1, wire.StatusInvalidParameter},
		{"no compression", wire.FsctlSetCompression, id, []byte{0, 0}, 0, wire.StatusOK},
		{"default compression", wire.FsctlSetCompression, id, []byte{1, 0}, 0, wire.StatusNotSupported},
		{"half a compression", wire.FsctlSetCompression, id, []byte{1}, 0, wire.StatusInvalidParameter},
		{"reparse point", wire.FsctlGetReparsePoint, id, nil, 1000, wire.StatusNotAReparsePoint},
		{"transceive on a file", wire.FsctlPipeTransceive, id, nil, 1000, wire.StatusInvalidDeviceRequest},
		{"unknown", 0x12345678, id, nil, 1000, wire.StatusInvalidDeviceRequest},
		{"too much output", wire.FsctlValidateNegotiateInfo, none, nil, 1<<31 - 1, wire.StatusInvalidParameter},
		{"validation that is cut", wire.FsctlValidateNegotiateInfo, none, make([]byte, 20), 24, wire.StatusInvalidParameter},
		{"validation", wire.FsctlValidateNegotiateInfo, none, validateInput(), 24, wire.StatusOK},
	} {
		if s := status(p.ask(p.ioctlMsg(c.code, c.id, c.in, c.max))); s != c.want {
			t.Errorf("%s: %v, want %v", c.what, s, c.want)
		}
	}
	r := p.ask(p.ioctlMsg(wire.FsctlValidateNegotiateInfo, none, validateInput(), 24))
	if d := wire.Dialect(le.Uint16(r[112+22:])); d != wire.Dialect210 {
		t.Errorf("dialect %v", d)
	}
	forged := validateInput()
	le.PutUint16(forged[24:], 0x0311)
	le.PutUint16(forged[26:], 0x0202)
	p.refused(frame(p.ioctlMsg(wire.FsctlValidateNegotiateInfo, none, forged, 24)))
}

func TestPipe(t *testing.T) {
	p := newPeer(t, nil).logOn("IPC$")
	if _, s := p.tryOpen("lsarpc", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
		t.Errorf("a pipe that there is not: %v", s)
	}
	id := p.open("srvsvc", opening{rd | wr, shareAll, wire.Open, 0})
	p.want(p.readMsg(id, 0, 100), wire.StatusPipeEmpty)
	p.want(p.writeMsg(id, 0, bindPDU), wire.StatusOK)
	first := p.want(p.readMsg(id, 0, 10), wire.StatusBufferOverflow)
	rest := p.want(p.readMsg(id, 0, 1000), wire.StatusOK)
	again := p.open(`\PIPE\srvsvc`[1:], opening{rd | wr, shareAll, wire.Open, 0})
	whole := p.want(p.ioctlMsg(wire.FsctlPipeTransceive, again, bindPDU, 1000), wire.StatusOK)
	if n := len(first) - 80 + len(rest) - 80; n != len(whole)-112 || whole[112+2] != 12 {
		t.Errorf("%d bytes read, %d transceived, type %d", n, len(whole)-112, whole[112+2])
	}
	p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileEndOfFileInformation, make([]byte, 8)), wire.StatusNotSupported)
	p.want(p.writeMsg(id, 0, pattern(100)), wire.StatusPipeBroken)
	p.want(p.closeMsg(id), wire.StatusOK)
}

func TestEachPipeHasItsNameAndItsService(t *testing.T) {
	p := newPeer(t, nil).logOn("IPC$")
	for _, name := range []string{"srvsvc", "wkssvc", "WKSSVC", `PIPE\wkssvc`} {
		id := p.open(name, opening{rd | wr, shareAll, wire.Open, 0})
		service := name[strings.LastIndex(name, `\`)+1:]
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000), wire.StatusOK)
		if got, err := wire.UTF16ToString(r[72+100:]); err != nil || !strings.EqualFold(got, `\`+service) {
			t.Errorf("%s is called %s, %v", name, got, err)
		}
		// A bind to srvsvc's interface is taken by its pipe alone.
		r = p.want(p.ioctlMsg(wire.FsctlPipeTransceive, id, bindPDU, 1000), wire.StatusOK)
		if taken := le.Uint16(r[len(r)-24:]) == 0; taken != (service == "srvsvc") {
			t.Errorf("%s: srvsvc's interface taken: %v", name, taken)
		}
	}
}

func TestCreateContextsAreAnswered(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	m := pad(p.createMsg("file", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}))
	at := len(m)
	for i, name := range []string{"XxXx", wire.ContextMaximalAccess, wire.ContextQueryOnDiskID} {
		b := make([]byte, 64)
		_, n := wire.PutContext(b, name, 8*(1-min(i, 1)))
		if i < 2 {
			wire.PutContextNext(b, n)
		}
		m = append(m, b[:n]...)
	}
	le.PutUint32(m[112:], uint32(at))
	le.PutUint32(m[116:], uint32(len(m)-at))
	r := p.want(m, wire.StatusOK)
	off, n := le.Uint32(r[144:]), le.Uint32(r[148:])
	got := r[off : off+n]
	if string(got[16:20]) != wire.ContextMaximalAccess || wire.Access(le.Uint32(got[28:])) != wire.AccessAll {
		t.Errorf("first context % x", got)
	}
	got = got[le.Uint32(got):]
	if string(got[16:20]) != wire.ContextQueryOnDiskID || le.Uint64(got[24:]) == 0 || le.Uint32(got) != 0 {
		t.Errorf("second context % x", got)
	}
}

func TestLogOnMayBeRenewedByTheSameUserOnly(t *testing.T) {
	m := newMember(t, nil, wire.Dialect210).logOn("alice", "secret")
	m.treeOf("pub")
	id, p := m.newFile("file"), m.peer
	challenge := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	p.want(p.readMsg(id, 0, 0), wire.StatusOK) // goes on meanwhile
	token, _ := ntlmAuthenticate(challenge[wire.SessionSetupFixed:], "alice", "secret")
	p.want(p.setupMsg(token), wire.StatusOK)
	p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)

	challenge = p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	token, _ = ntlmAuthenticate(challenge[wire.SessionSetupFixed:], "bob", "hidden")
	p.want(p.setupMsg(token), wire.StatusAccessDenied)
	p.want(p.writeMsg(id, 0, []byte("y")), wire.StatusUserSessionDeleted) // the session is gone with it
	q := connect(t, p.srv, p.dir).logOn("pub")
	id = q.newFile("file")
	q.want(q.setupMsg([]byte("nonsense")), wire.StatusInvalidParameter)
	q.want(q.writeMsg(id, 0, []byte("y")), wire.StatusUserSessionDeleted)
}
