package rpc

import (
	"slices"
	"testing"
)

const wireWkssvc = "98d0ff6b12a110369833 46c3f87e345a 01000000"

func boundWkssvc(t testing.TB) *Pipe {
	t.Helper()
	p := NewWkssvc("FILES", "HOME").Open()
	write(t, p, bindPDU(11, 4280, wantContext(t, 0, wireWkssvc, wireNDR)))
	if ack := readPDU(t, p); ack[2] != 12 || le.Uint16(ack[len(ack)-24:]) != accepted {
		t.Fatalf("bind_ack % x", ack)
	}
	return p
}

func TestWkstaGetInfoNamesTheServerAndItsDomain(t *testing.T) {
	p := boundWkssvc(t)
	for _, level := range []uint32{100, 101} {
		r := call1(t, p, opNetrWkstaGetInfo, slices.Concat(serverName(), u32s(level)))
		r.want(level, ptr, 500, ptr, ptr, 6, 1)
		if level == 101 {
			r.want(ptr)
		}
		if name, domain := r.str(), r.str(); name != "FILES" || domain != "HOME" {
			t.Errorf("level %d: %q of %q", level, name, domain)
		}
		if level == 101 {
			if root := r.str(); root != "" {
				t.Errorf("lanroot %q", root)
			}
		}
		r.want(errorSuccess)
		r.end()
	}
}

func TestLevelsOfWkstaGetInfoThatAreNotServedGetAnError(t *testing.T) {
	p := boundWkssvc(t)
	for _, level := range []uint32{102, 502} {
		r := call1(t, p, opNetrWkstaGetInfo, slices.Concat(serverName(), u32s(level)))
		r.want(level, 0, errorAccessDenied)
		r.end()
	}
	r := call1(t, p, opNetrWkstaGetInfo, slices.Concat(serverName(), u32s(77)))
	r.want(77, errorInvalidLevel)
	r.end()
}
