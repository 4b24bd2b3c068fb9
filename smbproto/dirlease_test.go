package smbproto

import (
	"os"
	"path/filepath"
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
