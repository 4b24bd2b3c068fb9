package smbproto

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// leaseDir opens a directory with a lease of RH.
func (p *peer) leaseDir(name string, key byte) {
	p.t.Helper()
	o := opening{wire.AccessReadData | wire.AccessReadAttributes, shareAll, wire.Open, wire.OptionDirectory}
	p.leased(p.want(p.leaseV2Msg(name, o, key, 0, leaseRH, 0), wire.StatusOK), key, leaseRH, 0)
}

// What a client of SMB1 makes, or writes over, is a change of the directory as well.
func TestSMB1ChangesDirectoriesThatAreLeased(t *testing.T) {
	cut := all1
	cut.disposition = wire.Overwrite
	for name, change := range map[string]func(p *peer1) []byte{
		"a file is made": func(p *peer1) []byte { return p.createMsg1(`\new`, all1, 0) },
		"a file is cut":  func(p *peer1) []byte { return p.createMsg1(`\old`, cut, 0) },
		"a directory is": func(p *peer1) []byte { return p.msg(wire.SMB1CreateDirectory, nil, path1(`\new`)) },
		"made by POSIX":  func(p *peer1) []byte { return p.posix().posixOpenMsg("/new", 0x12, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			one := newPeer1(t, nil).logOn1("pub")
			if err := os.WriteFile(filepath.Join(one.dir, "old"), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			p := connect(t, one.srv, one.dir)
			p.dialect = 0x0300
			p.logOn("pub").leaseDir("", 1)
			one.want1(change(one), wire.StatusOK)
			p.leaseV2Breaks(1, leaseRH, 0, 2, true)
		})
	}
}

// A file that goes with its last close is gone for who asked for that: another who closes it last, and caches the directory, is told.
func TestADirectoryIsToldOfADeletionThatAnotherAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		by   byte // the parent's key of who asks
		told bool
	}{"another": {0, true}, "itself": {1, false}} {
		t.Run(name, func(t *testing.T) {
			a, b := twoClientsOf30(t)
			a.leaseDir("", 1)
			id := a.leased(a.want(a.leaseV2Msg("file", anyOpen, 2, 1, leaseR, 0), wire.StatusOK), 2, leaseR, wire.LeaseParentKeySet)
			asks, who := b, wire.FileID{}
			if c.by != 0 {
				asks = a
				who = a.leased(a.want(a.leaseV2Msg("file", anyOpen, 2, 1, leaseR, 0), wire.StatusOK), 2, leaseR, wire.LeaseParentKeySet)
			} else {
				who = b.open("file", anyOpen)
			}
			asks.want(asks.setMsg(who, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
			asks.want(asks.closeMsg(who), wire.StatusOK)
			a.still()
			a.want(a.closeMsg(id), wire.StatusOK)
			if !c.told {
				a.still()
				return
			}
			a.leaseV2Breaks(1, leaseRH, 0, 2, true)
		})
	}
}

// Who makes a file, and then may not open it as another was faster, has made it all the same.
func TestADirectoryIsToldOfAFileWhoseMakerIsRefused(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("needs two processors: nobody is faster where each waits for the other's turn to end")
	}
	a, b := twoClientsOf30(t)
	c := connect(t, a.srv, a.dir)
	c.dialect, c.guid = 0x0300, [16]byte{3}
	c.logOn("pub")
	for range 1000 {
		c.leaseDir("", 1)
		var made, found wire.FileID
		var s, got wire.Status
		var wg sync.WaitGroup
		wg.Go(func() { made, s = a.tryOpen("new", anyOpen) })
		for got = wire.StatusObjectNameNotFound; got == wire.StatusObjectNameNotFound; {
			found, got = b.tryOpen("new", opening{wire.AccessAll, 0, wire.Open, 0})
		}
		wg.Wait()
		if c.later() == nil {
			t.Fatalf("its maker got %v, who was faster %v, and nobody is told", s, got)
		}
		c.want(c.leaseAckMsg(1, 0), wire.StatusOK)
		if s == wire.StatusOK {
			a.want(a.closeMsg(made), wire.StatusOK)
		}
		if got == wire.StatusOK {
			b.want(b.closeMsg(found), wire.StatusOK)
		}
		if err := os.Remove(filepath.Join(a.dir, "new")); err != nil {
			t.Fatal(err)
		}
	}
}
