package smbproto

import (
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// An oplock of SMB1 is broken by a request of the server's, and acknowledged by one that has no answer. The open that was in
// its way waits meanwhile, and has one answer.
func TestSMB1OplocksBreak(t *testing.T) {
	holder := newPeer1(t, nil).logOn1("pub")
	other := connect1(t, holder.srv, holder.dir).logOn1("pub")
	b := holder.want1(holder.createMsg1("file", all1, smb1CreateOplock|smb1CreateBatch), wire.StatusOK)
	fid := le.Uint16(b.Words[5:])
	if b.Byte(4) != smb1OplockBatch {
		t.Fatalf("oplock of level %d", b.Byte(4))
	}
	waits := other.createMsg1("file", all1, smb1CreateOplock)
	if r := other.ask1(waits); r != nil {
		t.Fatalf("answered at once: %v", r.Status())
	}
	notice := holder.wake()
	if notice == nil || notice.Command() != wire.SMB1LockingAndX || notice.Flags()&wire.SMB1FlagReply != 0 || notice.MID() != 0xFFFF ||
		notice.TID() != holder.tid {
		t.Fatalf("the holder is told % x", []byte(notice))
	}
	n, err := notice.Block(wire.SMB1HeaderSize)
	if err != nil || n.Word(2) != fid || n.Byte(6) != smb1LockOplockBreak || n.Byte(7) != 1 {
		t.Fatalf("the holder is told % x, %v", n.Words, err)
	}
	ack := holder.msg(wire.SMB1LockingAndX, andX(fid, uint8(smb1LockOplockBreak), uint8(1), uint32(0), uint16(0), uint16(0)), nil)
	if r := holder.ask1(ack); r != nil {
		t.Errorf("an acknowledgment is answered: %v", r.Status())
	}
	r := other.wake()
	if r == nil {
		t.Fatal("the open that waited has no answer")
	}
	if b = other.isAnswer(r, waits, wire.StatusOK); b.Byte(4) != smb1OplockII {
		t.Errorf("oplock of level %d", b.Byte(4))
	}
	if len(other.c.pending) != 0 {
		t.Errorf("%d requests still wait", len(other.c.pending))
	}
}

// The calls of before NT ask for an oplock in the header, or the flags, and are told there.
func TestSMB1OldOpensHaveOplocks(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.open1("file", all1)
	p.flags2 &^= wire.SMB1Flags2Unicode
	p.want1(p.msg(wire.SMB1ProcessExit, nil, nil), wire.StatusOK)
	m := p.msg(wire.SMB1Open, words(uint16(0x42), uint16(0)), path1(`\file`))
	m[9] |= wire.SMB1FlagOplock | wire.SMB1FlagBatch
	r := p.ask1(m)
	p.isAnswer(r, m, wire.StatusOK)
	if r.Flags()&(wire.SMB1FlagOplock|wire.SMB1FlagBatch) != wire.SMB1FlagOplock|wire.SMB1FlagBatch {
		t.Errorf("flags %#x", r.Flags())
	}
	p.want1(p.msg(wire.SMB1ProcessExit, nil, nil), wire.StatusOK)
	openX := p.msg(wire.SMB1OpenAndX, andX(uint16(openOplock), uint16(0x42), uint16(0), uint16(0), uint32(0), uint16(1), uint32(0), uint64(0)),
		append([]byte(`\file`), 0))
	if b := p.want1(openX, wire.StatusOK); b.Word(11) != openGotOplock|1 {
		t.Errorf("result %#x", b.Word(11))
	}
}

// Whatever takes a file's name away waits for those who keep it open, though they have it open for its attributes alone.
func TestSMB1NamesAreTakenAwayOnceHandlesAreClosed(t *testing.T) {
	deletes := opening{wire.AccessAll, shareAll, wire.Open, wire.OptionDeleteOnClose}
	raw := func(name string) []byte { return append(append([]byte{4}, utf16le(name)...), 0, 0) }
	for name, msg := range map[string]func(p *peer1) []byte{
		"DELETE":           func(p *peer1) []byte { return p.msg(wire.SMB1Delete, words(uint16(0x16)), raw("kept")) },
		"DELETE_DIRECTORY": func(p *peer1) []byte { return p.msg(wire.SMB1DeleteDirectory, nil, raw("dir")) },
		"SET_PATH": func(p *peer1) []byte {
			return p.trans2(6, 1, append(words(uint16(0x102), uint32(0)), raw("kept")[1:]...), []byte{1})
		},
		"SET_FILE": func(p *peer1) []byte {
			return p.trans2(8, 1, words(p.open1("kept", all1), uint16(0x102), uint16(0)), []byte{1})
		},
		"CLOSE": func(p *peer1) []byte { return p.msg(wire.SMB1Close, words(p.open1("kept", deletes), uint32(0)), nil) },
		"RENAME": func(p *peer1) []byte {
			return p.msg(wire.SMB1Rename, words(uint16(0x16)), append(raw("kept"), append([]byte{4, 0}, raw("new")[1:]...)...))
		},
		"SET_PATH, a rename": func(p *peer1) []byte {
			return p.trans2(6, len(renameInfo1("new")), append(words(renameLevel, uint32(0)), raw("kept")[1:]...), renameInfo1("new"))
		},
	} {
		dir := name == "DELETE_DIRECTORY"
		to := leaseR
		if name == "SET_PATH, a rename" {
			to = 0 // of what it was called nothing stays
		}
		t.Run(name, func(t *testing.T) {
			p := newPeer1(t, nil).logOn1("pub")
			holder := connect(t, p.srv, p.dir)
			holder.guid, holder.dialect = [16]byte{2}, 0x0300
			holder.logOn("pub")
			attributes := opening{wire.AccessReadAttributes, shareAll, wire.OpenIf, 0}
			name := "kept"
			if dir {
				name, attributes.options = "dir", wire.OptionDirectory
			}
			r := holder.want(holder.leaseV2Msg(name, attributes, 1, 0, leaseRH, 0), wire.StatusOK)
			kept := holder.leased(r, 1, leaseRH, 0)
			m := msg(p)
			if r := p.ask1(m); r != nil {
				t.Fatalf("answered at once: %v", r.Status())
			}
			holder.leaseV2Breaks(1, leaseRH, to, 2, true)
			if r := p.wake(); r != nil {
				t.Fatalf("answered before the holder was: %v", r.Status())
			}
			holder.want(holder.closeMsg(kept), wire.StatusOK)
			p.isAnswer(p.wake(), m, wire.StatusOK)
			if r := p.wake(); r != nil || len(p.c.pending) != 0 {
				t.Errorf("answered again: %v; %d requests wait", r, len(p.c.pending))
			}
			for fid := range p.c.smb1.files {
				p.want1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
			}
			if _, err := os.Stat(filepath.Join(p.dir, name)); !os.IsNotExist(err) {
				t.Errorf("%v, want it gone", err)
			}
		})
	}
}

// A command of a chain that would wait behind one that has waited does not have that done again.
func TestSMB1ChainsThatHaveWaitedRunOnce(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	other := connect1(t, p.srv, p.dir).logOn1("pub")
	fid := le.Uint16(other.want1(other.createMsg1("file", all1, smb1CreateOplock|smb1CreateBatch), wire.StatusOK).Words[5:])
	holder := connect(t, p.srv, p.dir)
	holder.guid = [16]byte{2}
	holder.logOn("pub")
	del := opening{wire.AccessAll, shareAll, wire.Open, wire.OptionDeleteOnClose}
	chain, _ := follow(p.createMsg1("file", del, 0), wire.SMB1HeaderSize, wire.SMB1Close, words(uint16(0), uint32(0)), nil)
	if r := p.ask1(chain); r != nil {
		t.Fatalf("answered at once: %v", r.Status())
	}
	other.wake()
	waits := holder.pends(holder.leaseMsg("file", opening{wire.AccessReadAttributes | wire.AccessReadData, shareAll, wire.Open, 0}, 1, leaseRH))
	other.want1(other.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
	holder.wantLater(waits, wire.StatusOK)
	if r := p.wake(); r == nil {
		t.Error("it waits again")
	}
	if n := len(p.c.sessions[uint64(p.c.smb1.sessions[p.uid].id)].opens); n != 0 {
		t.Errorf("%d opens are left", n)
	}
}

// renameLevel is FileRenameInformation among SMB1's levels.
const renameLevel = 1000 + uint16(wire.FileRenameInformation)

// renameMsg1 renames an open, to a name in its directory.
func (p *peer1) renameMsg1(fid uint16, name string) []byte {
	return p.trans2(8, len(renameInfo1(name)), words(fid, renameLevel, uint16(0)), renameInfo1(name))
}

func renameInfo1(name string) []byte {
	return append(words(uint32(0), uint32(0), uint32(2*len(name))), utf16le(name)...)
}

// A rename by an open waits for those who keep the file open, as SMB2's does, and has one answer: unless it may not rename, or is in
// several messages, which can't be tried again.
func TestSMB1RenamesWaitForHandles(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	holder := connect(t, p.srv, p.dir)
	holder.guid = [16]byte{2}
	holder.logOn("pub")
	kept := holder.openLease("file", anyOpen, 1, leaseRH, leaseRH)
	fid, reads := p.open1("file", all1), p.open1("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	p.want1(p.renameMsg1(reads, "new"), wire.StatusAccessDenied)
	holder.still()

	msg := p.renameMsg1(fid, "new")
	if r := p.ask1(msg); r != nil {
		t.Fatalf("answered at once: %v", r.Status())
	}
	holder.leaseBreaks(1, leaseRH, leaseR, true)
	if r := p.wake(); r != nil {
		t.Fatalf("answered before the holder was: %v", r.Status())
	}
	first, params := p.trans2(8, len(renameInfo1("new")), words(fid, renameLevel, uint16(0)), nil), 6
	p.want1(first, wire.StatusOK)
	parts := p.secondaryMsg(first, params, len(renameInfo1("new")), renameInfo1("new"), 0)
	if r := p.ask1(parts); r == nil || r.Status() != wire.StatusSharingViolation {
		t.Fatalf("in two messages: %v", r)
	}
	holder.want(holder.closeMsg(kept), wire.StatusOK)
	p.isAnswer(p.wake(), msg, wire.StatusOK)
	if r := p.wake(); r != nil {
		t.Errorf("and answered again: %v", r.Status())
	}
	if _, err := os.Stat(filepath.Join(p.dir, "new")); err != nil || len(p.c.pending) != 0 {
		t.Errorf("%v, %d requests still wait", err, len(p.c.pending))
	}
}

// A rename by name changes nothing of what the file holds: who may keep back what was written goes on with that, and is not asked.
func TestSMB1RenamesByNameLeaveWhatIsWrittenBack(t *testing.T) {
	holder := newPeer1(t, nil).logOn1("pub")
	other := connect1(t, holder.srv, holder.dir).logOn1("pub")
	b := holder.want1(holder.createMsg1("file", all1, smb1CreateOplock), wire.StatusOK)
	fid := le.Uint16(b.Words[5:])
	if b.Byte(4) != smb1OplockExclusive {
		t.Fatalf("oplock of level %d", b.Byte(4))
	}
	other.want1(other.pathMsg(6, renameLevel, "file", renameInfo1("new")), wire.StatusOK)
	if r := holder.wake(); r != nil {
		t.Errorf("the holder is told % x", []byte(r))
	}
	holder.want1(holder.renameMsg1(fid, "newer"), wire.StatusOK)
	if _, err := os.Stat(filepath.Join(holder.dir, "newer")); err != nil {
		t.Error(err)
	}
	// It has the oplock still: an open for the data breaks it.
	if r := other.ask1(other.createMsg1("newer", all1, 0)); r != nil {
		t.Fatalf("answered at once: %v", r.Status())
	}
	if holder.wake() == nil {
		t.Error("the holder is not told")
	}
}
