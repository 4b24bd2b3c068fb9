package smbproto

import (
	"io"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

// netbiosName encodes a name with its kind, RFC 1001 14.1.
func netbiosName(name string, kind byte) []byte {
	b := []byte{32}
	for _, c := range append([]byte(name+strings.Repeat(" ", 15-len(name))), kind) {
		b = append(b, 'A'+c>>4, 'A'+c&15)
	}
	return append(b, 0)
}

func sessionRequest(called string) []byte {
	names := append(netbiosName(called, 0x20), netbiosName("CLIENT", 0)...)
	return append([]byte{0x81, 0, 0, byte(len(names))}, names...)
}

func TestASessionOfNetBIOSIsGrantedToWhoKnowsTheServer(t *testing.T) {
	for called, granted := range map[string]bool{"*SMBSERVER": true, "FILES": true, "files": true, "OTHER": false, "": false} {
		p := newPeer(t, nil)
		switch err := p.feed(sessionRequest(called)); {
		case granted && err != nil, !granted && err != io.EOF:
			t.Errorf("%q: %v", called, err)
		}
		want := "\x82\x00\x00\x00"
		if !granted {
			want = "\x83\x00\x00\x01\x82"
		}
		if got := string(p.a.Out.Peek(100)); got != want {
			t.Errorf("%q: answer % x, want % x", called, got, want)
		}
		if granted {
			p.a.Out.Consume(4)
			if err := p.feed([]byte{0x85, 0, 0, 0}); err != nil {
				t.Errorf("keep-alive: %v", err)
			}
			p.logOn("pub")
			if err := p.feed([]byte{0x85, 0, 0, 0}); err != nil {
				t.Errorf("keep-alive: %v", err)
			}
			p.newFile("file")
		}
	}
}

func TestASessionRequestComesOnceAndFirst(t *testing.T) {
	request := sessionRequest("FILES")
	newPeer(t, nil).refused(append(append([]byte{}, request...), request...))
	p := newPeer(t, nil).logOn("pub")
	p.refused(request)
	for name, b := range map[string][]byte{
		"zeros":           append([]byte{0x81, 0, 0, 68}, make([]byte, 68)...),
		"one name":        append([]byte{0x81, 0, 0, 34}, netbiosName("FILES", 0)...),
		"no letters":      append([]byte{0x81, 0, 0, 68}, []byte(strings.Repeat("\x20"+strings.Repeat("z", 32)+"\x00", 2))...),
		"more behind":     append([]byte{0x81, 0, 0, 69}, append(request[4:], 0)...),
		"full keep-alive": {0x85, 0, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { newPeer(t, nil).refused(b) })
	}
}

func TestNamesOfNetBIOSMayHaveScopes(t *testing.T) {
	scoped := netbiosName("FILES", 0x20)
	scoped = append(scoped[:33], "\x03abc\x02de\x00"...)
	called, calling, err := wire.SessionRequest(append(scoped, netbiosName("ME", 0)...)).Names()
	if called != "FILES" || calling != "ME" || err != nil {
		t.Errorf("%q, %q, %v", called, calling, err)
	}
}
