package smbproto

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/auth"
	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// What a call by name takes of descriptors is what it does, and no more: with these rights alone it succeeds, and without any
// one of them it is refused.
func TestSMB1CallsTakeTheirRights(t *testing.T) {
	needXattrs(t)
	p := newPeer1(t, nil).logOn1("pub").unix(0)
	token := p.srv.token(auth.Identity{User: "bob"})
	p.c.smb1.sessions[p.uid].session.token.Store(token)
	one := func(name string) []byte { return append([]byte{4}, utf16le(name+"\x00")...) }
	two := func(a, b string) []byte { return append(append(one(a), 4, 0), utf16le(b+"\x00")...) }
	ntRename := func(kind uint16) []byte {
		return p.msg(wire.SMB1NTRename, words(uint16(0x16), kind, uint32(0)), two(`\d\f`, `\e\g`))
	}
	find := findParams(`\d\*`, findClose)
	size, stamp := noUnixChange(), noUnixChange()
	le.PutUint64(size, 3)
	le.PutUint64(stamp[32:], 132_000_000_000_000_000)
	const (
		add, addDir = wire.AccessWriteData, wire.AccessAppendData
		list        = wire.AccessReadData
		wa          = wire.AccessWriteAttributes
		del         = wire.AccessDelete
		both        = wire.Access(0x12019F) // generic reading and writing
	)
	for what, c := range map[string]struct {
		msg                  []byte
		file, sub, dir, dest wire.Access // in d, whose rights are dir
	}{
		"CHECK_DIRECTORY":   {p.msg(wire.SMB1CheckDirectory, nil, one(`\d\sub`)), 0, att, 0, 0},
		"COPY":              {p.msg(wire.SMB1Copy, words(p.tid, uint16(0x10), uint16(0)), two(`\d\f`, `\e\g`)), rd | att, 0, 0, add},
		"CREATE":            {p.msg(wire.SMB1Create, words(uint16(0), uint32(0)), one(`\d\f`)), both, 0, 0, 0},
		"CREATE, new":       {p.msg(wire.SMB1Create, words(uint16(0), uint32(0)), one(`\d\new`)), 0, 0, add, 0},
		"CREATE_DIRECTORY":  {p.msg(wire.SMB1CreateDirectory, nil, one(`\d\new`)), 0, 0, addDir, 0},
		"CREATE_TEMPORARY":  {p.msg(wire.SMB1CreateTemporary, words(uint16(0), uint32(0)), one(`\d`)), 0, 0, add, 0},
		"DELETE":            {p.msg(wire.SMB1Delete, words(uint16(0x16)), one(`\d\f`)), del, 0, 0, 0},
		"DELETE, a child":   {p.msg(wire.SMB1Delete, words(uint16(0x16)), one(`\d\f`)), 0, 0, wire.AccessDeleteChild, 0},
		"DELETE, all":       {p.msg(wire.SMB1Delete, words(uint16(0x16)), one(`\d\f*`)), del, 0, list, 0},
		"DELETE_DIRECTORY":  {p.msg(wire.SMB1DeleteDirectory, nil, one(`\d\sub`)), 0, del, 0, 0},
		"FIND_FIRST2":       {p.trans2Msg(1, find, nil, len(find), 0, 4000), 0, 0, list, 0},
		"SEARCH":            {p.msg(wire.SMB1Search, words(uint16(9), uint16(0x16)), append(one(`\d\*`), 5, 0, 0)), 0, 0, list, 0},
		"OPEN":              {p.msg(wire.SMB1Open, words(uint16(0x40), uint16(0x16)), one(`\d\f`)), 0x120089, 0, 0, 0},
		"QUERY_INFORMATION": {p.msg(wire.SMB1QueryInformation, nil, one(`\d\f`)), att, 0, 0, 0},
		"SET_INFORMATION":   {p.msg(wire.SMB1SetInformation, words(uint16(2), uint32(5000000), uint64(0), uint16(0)), one(`\d\f`)), wa, 0, 0, 0},
		"RENAME":            {ntRename(smb1RenameFile), del | att, 0, 0, add},
		"RENAME, directory": {p.msg(wire.SMB1Rename, words(uint16(0x16)), two(`\d\sub`, `\e\g`)), 0, del | att, 0, addDir},
		"LINK":              {ntRename(smb1RenameLink), att | wa, 0, 0, add},
		"times":             {p.pathMsg(6, 0x101, `\d\f`, make([]byte, 40)), wa, 0, 0, 0},
		"end of file":       {p.pathMsg(6, wire.SMB1Passthru+uint16(wire.FileEndOfFileInformation), `\d\f`, words(uint64(3))), add, 0, 0, 0},
		"rename by level":   {p.pathMsg(6, renameLevel, `\d\f`, renameInfo1("g")), del, 0, add, 0},
		"EAs":               {p.pathMsg(5, wire.SMB1InfoAllEAs, `\d\f`, nil), att | wire.AccessReadEA, 0, 0, 0},
		"POSIX mode":        {p.pathMsg(6, wire.SMB1InfoUnixBasic, `\d\f`, modeOf(0o600)), att | wire.AccessWriteDAC, 0, 0, 0},
		"POSIX size":        {p.pathMsg(6, wire.SMB1InfoUnixBasic, `\d\f`, size), att | add, 0, 0, 0},
		"POSIX times":       {p.pathMsg(6, wire.SMB1InfoUnixBasic, `\d\f`, stamp), att | wa, 0, 0, 0},
		"POSIX link":        {p.pathMsg(6, wire.SMB1InfoUnixHardLink, `\e\g`, utf16le("\\d\\f\x00")), att | wa, 0, 0, add},
		"POSIX symlink":     {p.linkMsg(`\d\new`, "x"), 0, 0, add, 0},
		"POSIX unlink":      {p.unlinkMsg(`\d\f`, 0), del, 0, 0, 0},
		"POSIX truncate":    {p.posixOpenMsg(`\d\f`, wire.SMB1PosixReadOnly|wire.SMB1PosixTruncate, 0), rd | att | add | addDir, 0, 0, 0},
	} {
		try := func(rights [4]wire.Access) wire.Status {
			t.Helper()
			for fid, o := range p.c.smb1.files {
				p.c.closeSMB1(fid, o)
			}
			path := func(name string) string { return filepath.Join(p.dir, name) }
			err := errors.Join(os.RemoveAll(path("d")), os.RemoveAll(path("e")), os.MkdirAll(path("d/sub"), 0o700), os.Mkdir(path("e"), 0o700),
				os.WriteFile(path("d/f"), []byte("content"), 0o600), unix.Setxattr(path("d/f"), "user.KEY", []byte("v"), 0))
			for i, name := range []string{"d/f", "d/sub", "d", "e"} {
				d := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, rights[i], token.User) })
				d.Owner, d.Group = sd.System, sd.System
				err = errors.Join(err, unix.Setxattr(path(name), securityName, d.Append(nil), 0))
			}
			if err != nil {
				t.Fatal(err)
			}
			return p.ask1(c.msg).Status()
		}
		rights := [4]wire.Access{c.file, c.sub, c.dir, c.dest}
		if s := try(rights); s != wire.StatusOK {
			t.Errorf("%s: %v", what, s)
		}
		for i := range rights {
			for bit := wire.Access(1); bit <= rights[i]; bit <<= 1 {
				without := rights
				if without[i] &^= bit; without == rights {
					continue
				}
				if s := try(without); s != wire.StatusAccessDenied {
					t.Errorf("%s, without %#x of %d: %v", what, bit, i, s)
				}
			}
		}
	}
}
