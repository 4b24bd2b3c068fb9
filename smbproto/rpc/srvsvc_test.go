package rpc

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var someShares = []Share{
	{Name: "data", Comment: "Some data", Type: ShareTypeDisk},
	{Name: "žluť", Comment: "", Type: ShareTypeDisk},
	{Name: "IPC$", Comment: "IPC \U0001f600", Type: ShareTypeIPC},
}

func someServer() *Server { return NewSrvsvc("FILES", func() []Share { return someShares }) }

func manyShares(n int) (shares []Share) {
	for i := range n {
		shares = append(shares, Share{Name: fmt.Sprintf("share%d", i), Comment: fmt.Sprintf("number %d", i)})
	}
	return shares
}

func TestShareEnumListsEveryShare(t *testing.T) {
	p := boundPipe(t, someServer())
	r := call1(t, p, 15, enumStub(1, 0xffffffff, 0))
	if diff := cmp.Diff(someShares, r.shares1()); diff != "" {
		t.Error(diff)
	}
	r.want(3, ptr, 0, errorSuccess)
	r.end()

	r = call1(t, p, 15, enumStub(0, 0xffffffff))
	r.want(0, 0, ptr, 3, ptr, 3, ptr, ptr, ptr)
	for _, s := range someShares {
		if got := r.str(); got != s.Name {
			t.Errorf("name %q, want %q", got, s.Name)
		}
	}
	r.want(3, 0, errorSuccess)
	r.end()
}

func TestShareEnumOfAnEmptyServerIsAnEmptyList(t *testing.T) {
	r := call1(t, boundPipe(t, NewSrvsvc("FILES", func() []Share { return nil })), 15, enumStub(1, 0xffffffff))
	r.want(1, 1, ptr, 0, ptr, 0, 0, 0, errorSuccess)
	r.end()
}

func TestLevelsThatAreNotServedGetAnError(t *testing.T) {
	for level, want := range map[uint32]uint32{
		2: errorAccessDenied, 502: errorAccessDenied, 503: errorAccessDenied, 501: errorInvalidLevel,
	} {
		r := call1(t, boundPipe(t, someServer()), 15, enumStub(level, 0xffffffff, 0))
		r.want(level, level, 0, 0, ptr, 0, want)
		r.end()
		r = call1(t, boundPipe(t, someServer()), 16, slices.Concat(serverName(), wstring("data"), u32s(level)))
		r.want(level, 0, want)
		r.end()
	}
	// A level that the union does not have comes without an arm, and goes without one.
	r := call1(t, boundPipe(t, someServer()), 15, slices.Concat(serverName(), u32s(77, 77, 0xffffffff, 0)))
	r.want(77, 77, 0, 0, errorInvalidLevel)
	r.end()
	r = call1(t, boundPipe(t, someServer()), 16, slices.Concat(serverName(), wstring("data"), u32s(77)))
	r.want(77, errorInvalidLevel)
	r.end()
	for _, level := range []uint32{102, 599} {
		r = call1(t, boundPipe(t, someServer()), 21, slices.Concat(serverName(), u32s(level)))
		r.want(level, 0, errorInvalidLevel)
		r.end()
	}
}

func TestSmallPreferredLengthIsResumedToTheEnd(t *testing.T) {
	all := manyShares(100)
	p := boundPipe(t, NewSrvsvc("FILES", func() []Share { return all }))
	var got []Share
	for resume, status := uint32(0), uint32(errorMoreData); status == errorMoreData; {
		r := call1(t, p, 15, enumStub(1, 1000, resume))
		part := r.shares1()
		if len(part) == 0 || len(r.b) > 1000+64 {
			t.Fatalf("%d shares in %d bytes", len(part), len(r.b))
		}
		r.want(uint32(len(all)-len(got)), ptr)
		got = append(got, part...)
		resume, status = r.u32(), r.u32()
		r.end()
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Error(diff)
	}
	r := call1(t, p, 15, enumStub(1, 10, 0))
	r.want(1, 1, ptr, 0, ptr, 0, 100, ptr, 0, nerrBufTooSmall)
	r.end()
	r = call1(t, p, 15, enumStub(1, 1000, 0xffffffff))
	r.want(1, 1, ptr, 0, ptr, 0, 0, ptr, 0, errorSuccess)
	r.end()
}

func TestShareGetInfoFindsAShareWhateverTheCase(t *testing.T) {
	p := boundPipe(t, someServer())
	r := call1(t, p, 16, slices.Concat(serverName(), wstring("ŽLUŤ"), u32s(1)))
	r.want(1, ptr, ptr, ShareTypeDisk, ptr)
	if name, comment := r.str(), r.str(); name != "žluť" || comment != "" {
		t.Errorf("name %q, comment %q", name, comment)
	}
	r.want(errorSuccess)
	r.end()

	r = call1(t, p, 16, slices.Concat(u32s(0), wstring("data"), u32s(0))) // a null ServerName
	r.want(0, ptr, ptr)
	if name := r.str(); name != "data" {
		t.Errorf("name %q", name)
	}
	r.want(errorSuccess)
	r.end()

	r = call1(t, p, 16, slices.Concat(serverName(), wstring("none"), u32s(1)))
	r.want(1, 0, nerrNetNotFound)
	r.end()
}

func TestServerGetInfoNamesTheServer(t *testing.T) {
	p := boundPipe(t, someServer())
	r := call1(t, p, 21, slices.Concat(serverName(), u32s(100)))
	r.want(100, ptr, 500, ptr)
	if name := r.str(); name != "FILES" {
		t.Errorf("name %q", name)
	}
	r.want(errorSuccess)
	r.end()

	r = call1(t, p, 21, slices.Concat(serverName(), u32s(101)))
	r.want(101, ptr, 500, ptr, 6, 1, 0x9003, ptr)
	if name, comment := r.str(), r.str(); name != "FILES" || comment != "" {
		t.Errorf("name %q, comment %q", name, comment)
	}
	r.want(errorSuccess)
	r.end()
}

// What Samba 4's and go-smb2's clients send, byte for byte.
func TestRequestsOfRealClientsAreAnswered(t *testing.T) {
	const bind = "05000b03100000004800000001000000b810b810000000000100000000000100c84f324b7016d30112785a47bf6ee18803000000045d888aeb1cc9119fe808002b10486002000000"
	for name, tc := range map[string]struct {
		request string
		call    uint32
	}{
		"smbclient -L":              {"05000003100000005c000000020000004400000000000f00000002000a000000000000000a0000003100320037002e0030002e0030002e00310000000100000001000000040002000000000000000000ffffffff0800020000000000", 2},
		"go-smb2 ListSharenames":    {"0500000310000000640000004c69b6114c00000000000f00000002000f000000000000000f0000003100320037002e0030002e0030002e0031003a003400340035003800000000000100000001000000040002000000000000000000ffffffff00000000", 0x11b6694c},
		"rpcclient srvinfo":         {"050000031000000044000000020000002c00000000001500000002000c000000000000000c0000005c005c003100320037002e0030002e0030002e003100000065000000", 2},
		"rpcclient netsharegetinfo": {"050000031000000058000000040000004000000000001000000002000a000000000000000a0000003100320037002e0030002e0030002e003100000005000000000000000500000064006100740061000000000001000000", 4},
	} {
		t.Run(name, func(t *testing.T) {
			p := someServer().Open()
			write(t, p, unhex(t, bind))
			if ack := readPDU(t, p); ack[2] != 12 || le.Uint16(ack[len(ack)-24:]) != accepted {
				t.Fatalf("bind_ack % x", ack)
			}
			write(t, p, unhex(t, tc.request))
			stub := readReply(t, p, tc.call)
			if status := le.Uint32(stub[len(stub)-4:]); status != errorSuccess {
				t.Errorf("status %d", status)
			}
		})
	}
}
