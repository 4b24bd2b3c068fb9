package smbproto

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

func inodeOf(st os.FileInfo) uint64 { return st.Sys().(*syscall.Stat_t).Ino }

const (
	rd  = wire.AccessReadData
	wr  = wire.AccessWriteData
	del = wire.AccessDelete
	att = wire.AccessReadAttributes
)

// Share modes hold between connections, in both directions.
func TestShareModes(t *testing.T) {
	for _, c := range []struct {
		access wire.Access
		share  wire.ShareAccess
		second wire.Access
		shared wire.ShareAccess
		want   wire.Status
	}{
		{rd, shareAll, rd, shareAll, wire.StatusOK},
		{rd, wire.ShareRead, rd, wire.ShareRead, wire.StatusOK},
		{rd, wire.ShareRead, wr, shareAll, wire.StatusSharingViolation},
		{wr, shareAll, rd, wire.ShareRead, wire.StatusSharingViolation},
		{rd, 0, rd, shareAll, wire.StatusSharingViolation},
		{rd, 0, att, 0, wire.StatusOK},
		{att, 0, rd | wr | del, 0, wire.StatusOK},
		{rd, wire.ShareRead | wire.ShareWrite, del, shareAll, wire.StatusSharingViolation},
		{del, shareAll, rd, wire.ShareRead | wire.ShareWrite, wire.StatusSharingViolation},
		{wire.AccessExecute, wire.ShareWrite, rd, shareAll, wire.StatusSharingViolation},
		{wire.AccessAppendData, shareAll, rd, wire.ShareRead, wire.StatusSharingViolation},
	} {
		srv := newServerIn(t, t.TempDir(), nil)
		a, b := connect(t, srv, "").logOn("pub"), connect(t, srv, "").logOn("pub")
		first := a.open("file", opening{c.access, c.share, wire.OpenIf, 0})
		if _, s := b.tryOpen("file", opening{c.second, c.shared, wire.Open, 0}); s != c.want {
			t.Errorf("%#x sharing %d, then %#x sharing %d: %v, want %v", c.access, c.share, c.second, c.shared, s, c.want)
		}
		a.want(a.closeMsg(first), wire.StatusOK)
		if c.want != wire.StatusOK {
			b.open("file", opening{c.second, c.shared, wire.Open, 0})
		}
	}
}

// A conflict must be found before the file is cut.
func TestRefusedOverwriteLeavesTheFile(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.writeMsg(id, 0, []byte("content")), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	p.open("file", opening{rd, wire.ShareRead, wire.Open, 0})
	for _, d := range []wire.Disposition{wire.Overwrite, wire.OverwriteIf, wire.Supersede} {
		for _, access := range []wire.Access{wr, rd, att} {
			if _, s := p.tryOpen("file", opening{access, shareAll, d, 0}); s != wire.StatusSharingViolation {
				t.Errorf("disposition %d, access %#x: %v", d, access, s)
			}
		}
	}
	if p.content("file") != "content" {
		t.Errorf("file has %q", p.content("file"))
	}
}

func TestDispositions(t *testing.T) {
	for _, c := range []struct {
		d       wire.Disposition
		exists  bool
		status  wire.Status
		action  wire.CreateAction
		content string
	}{
		{wire.Supersede, true, 0, wire.ActionSuperseded, ""},
		{wire.Supersede, false, 0, wire.ActionCreated, ""},
		{wire.Open, true, 0, wire.ActionOpened, "old"},
		{wire.Open, false, wire.StatusObjectNameNotFound, 0, ""},
		{wire.Create, true, wire.StatusObjectNameCollision, 0, "old"},
		{wire.Create, false, 0, wire.ActionCreated, ""},
		{wire.OpenIf, true, 0, wire.ActionOpened, "old"},
		{wire.OpenIf, false, 0, wire.ActionCreated, ""},
		{wire.Overwrite, true, 0, wire.ActionOverwritten, ""},
		{wire.Overwrite, false, wire.StatusObjectNameNotFound, 0, ""},
		{wire.OverwriteIf, true, 0, wire.ActionOverwritten, ""},
		{wire.OverwriteIf, false, 0, wire.ActionCreated, ""},
		{6, true, wire.StatusInvalidParameter, 0, "old"},
	} {
		p := newPeer(t, nil).logOn("pub")
		if c.exists {
			if err := os.WriteFile(filepath.Join(p.dir, "file"), []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := p.want(p.createMsg("FILE", opening{rd, shareAll, c.d, 0}), c.status)
		if c.status == 0 && wire.CreateAction(le.Uint32(r[68:])) != c.action {
			t.Errorf("disposition %d, exists %v: action %d", c.d, c.exists, le.Uint32(r[68:]))
		}
		if c.exists && p.content("file") != c.content {
			t.Errorf("disposition %d: content %q", c.d, p.content("file"))
		}
	}
}

func TestCreateRules(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	if err := os.Mkdir(filepath.Join(p.dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.newFile("file")
	for _, c := range []struct {
		name string
		o    opening
		want wire.Status
	}{
		{"dir", opening{rd, shareAll, wire.Open, wire.OptionNonDirectory}, wire.StatusFileIsADirectory},
		{`dir\`, opening{rd, shareAll, wire.Open, wire.OptionNonDirectory}, wire.StatusObjectNameInvalid},
		{`file\`, opening{rd, shareAll, wire.Open, wire.OptionNonDirectory}, wire.StatusObjectNameInvalid},
		{`none\`, opening{rd, shareAll, wire.OpenIf, wire.OptionNonDirectory}, wire.StatusObjectNameInvalid},
		{`dir\`, opening{rd, shareAll, wire.Open, wire.OptionDirectory}, wire.StatusOK},
		{"file", opening{rd, shareAll, wire.Open, wire.OptionDirectory}, wire.StatusNotADirectory},
		{"file", opening{rd, shareAll, wire.Open, wire.OptionDirectory | wire.OptionNonDirectory}, wire.StatusInvalidParameter},
		{"x", opening{rd, shareAll, wire.OverwriteIf, wire.OptionDirectory}, wire.StatusInvalidParameter},
		{"dir", opening{wr, shareAll, wire.OverwriteIf, 0}, wire.StatusFileIsADirectory},
		{"file", opening{0, shareAll, wire.Open, 0}, wire.StatusAccessDenied},
		{"file", opening{rd, shareAll, wire.Open, wire.OptionDeleteOnClose}, wire.StatusInvalidParameter},
		{"file", opening{wire.AccessMaximumAllowed, shareAll, wire.Open, wire.OptionDeleteOnClose}, wire.StatusInvalidParameter},
		{"new", opening{wire.AccessGenericAll, shareAll, wire.Create, wire.OptionDeleteOnClose}, wire.StatusInvalidParameter},
		{"file", opening{rd, shareAll, wire.Open, wire.OptionOpenByFileID}, wire.StatusNotSupported},
		{"file", opening{wire.AccessSystemSecurity | rd, shareAll, wire.Open, 0}, wire.StatusPrivilegeNotHeld},
		{`none\x`, opening{rd, shareAll, wire.OpenIf, 0}, wire.StatusObjectPathNotFound},
		{`file\x`, opening{rd, shareAll, wire.OpenIf, 0}, wire.StatusObjectPathNotFound},
		{"", opening{rd, shareAll, wire.Create, 0}, wire.StatusObjectNameCollision},
		{"", opening{wire.AccessAll, shareAll, wire.Open, 0}, wire.StatusOK},
		{"file::$DATA", opening{rd, shareAll, wire.Open, 0}, wire.StatusOK},
		{"new", opening{rd, shareAll, wire.Create, wire.OptionDirectory}, wire.StatusOK},
	} {
		if _, s := p.tryOpen(c.name, c.o); s != c.want {
			t.Errorf("%q %+v: %v, want %v", c.name, c.o, s, c.want)
		}
	}
}

func TestDeletion(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	gone := func(name string) bool {
		_, err := os.Lstat(filepath.Join(p.dir, name))
		return os.IsNotExist(err)
	}
	all := opening{wire.AccessAll, shareAll, wire.OpenIf, 0}

	// Deleted when the last open is closed, even if that may not delete.
	a, b := p.open("file", all), p.open("file", opening{rd, shareAll, wire.Open, 0})
	p.want(p.setMsg(a, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	if _, s := p.tryOpen("file", all); s != wire.StatusDeletePending {
		t.Errorf("open of a file that is to be deleted: %v", s)
	}
	p.want(p.closeMsg(a), wire.StatusOK)
	if gone("file") {
		t.Error("deleted while it was open")
	}
	p.want(p.closeMsg(b), wire.StatusOK)
	if !gone("file") {
		t.Error("not deleted")
	}

	// Taken back.
	a = p.open("file", all)
	p.want(p.setMsg(a, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	p.want(p.setMsg(a, wire.FileDispositionInformation, []byte{0}), wire.StatusOK)
	p.want(p.closeMsg(a), wire.StatusOK)
	if gone("file") {
		t.Error("deleted all the same")
	}

	// Another file of the name, made behind our back, stays.
	a = p.open("file", all)
	p.want(p.setMsg(a, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	if err := os.Rename(filepath.Join(p.dir, "file"), filepath.Join(p.dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "file"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.want(p.closeMsg(a), wire.StatusOK)
	if gone("file") || p.content("file") != "another" {
		t.Error("another file was deleted")
	}

	// A renamed file is deleted by its new name.
	a, b = p.open("moved", all), p.open("moved", all)
	p.want(p.setMsg(a, wire.FileRenameInformation, renameInfo("again", false)), wire.StatusOK)
	p.want(p.setMsg(b, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	p.want(p.closeMsg(a), wire.StatusOK)
	p.want(p.closeMsg(b), wire.StatusOK)
	if !gone("moved") || !gone("again") {
		t.Error("not deleted by its new name")
	}

	// Delete on close, and what refuses.
	a = p.open("temp", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDeleteOnClose})
	p.want(p.closeMsg(a), wire.StatusOK)
	if !gone("temp") {
		t.Error("not deleted on close")
	}
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.want(p.closeMsg(p.newFile(`dir\x`)), wire.StatusOK)
	p.want(p.setMsg(dir, wire.FileDispositionInformation, []byte{1}), wire.StatusDirectoryNotEmpty)
	ro := p.open("ro", all)
	basic := make([]byte, 40)
	basic[32] = byte(wire.AttributeReadOnly)
	p.want(p.setMsg(ro, wire.FileBasicInformation, basic), wire.StatusOK)
	p.want(p.setMsg(ro, wire.FileDispositionInformation, []byte{1}), wire.StatusCannotDelete)
	if _, s := p.tryOpen("ro", opening{wr, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("read-only file opened to write: %v", s)
	}
	p.open("ro", opening{wire.AccessMaximumAllowed, shareAll, wire.Open, 0})
	root := p.open("", opening{wire.AccessAll, shareAll, wire.Open, 0})
	p.want(p.setMsg(root, wire.FileDispositionInformation, []byte{1}), wire.StatusAccessDenied)
}

func TestRename(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.closeMsg(p.newFile("taken")), wire.StatusOK)
	open := p.newFile("open")
	rename := func(to string, replace bool) wire.Status {
		return status(p.ask(p.setMsg(id, wire.FileRenameInformation, renameInfo(to, replace))))
	}
	for _, c := range []struct {
		to      string
		replace bool
		want    wire.Status
	}{
		{"taken", false, wire.StatusObjectNameCollision},
		{"TAKEN", false, wire.StatusObjectNameCollision},
		{"open", true, wire.StatusAccessDenied},
		{`none\x`, false, wire.StatusObjectPathNotFound},
		{`..\x`, true, wire.StatusObjectPathSyntaxBad},
		{"", true, wire.StatusInvalidParameter},
		{"taken", true, wire.StatusOK},
		{"taken", false, wire.StatusOK},
		{"Taken", false, wire.StatusOK},
		{"new", false, wire.StatusOK},
	} {
		if s := rename(c.to, c.replace); s != c.want {
			t.Errorf("to %q, replace %v: %v, want %v", c.to, c.replace, s, c.want)
		}
	}
	p.want(p.closeMsg(open), wire.StatusOK)
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000), wire.StatusOK)
	if name, _ := wire.UTF16ToString(r[72+100:]); name != `\new` {
		t.Errorf("name is %q", name)
	}
	entries, _ := os.ReadDir(p.dir)
	if len(entries) != 2 {
		t.Errorf("directory has %v", entries)
	}
}

// A link is a name as any other: the file is there by it when the first is gone.
func TestLink(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.writeMsg(id, 0, []byte("content")), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileLinkInformation, renameInfo("link", false)), wire.StatusOK)
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)
	if n := le.Uint32(r[72+16:]); n != 2 {
		t.Errorf("%d links", n)
	}
	p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileLinkInformation, renameInfo("late", false)), wire.StatusAccessDenied)
	p.want(p.closeMsg(id), wire.StatusOK)
	if _, s := p.tryOpen("file", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
		t.Errorf("the first name: %v", s)
	}
	if p.content("link") != "content" {
		t.Errorf("by the link: %q", p.content("link"))
	}
	reader := connect(t, p.srv, p.dir).logOn("ro")
	id = reader.open("link", opening{rd, shareAll, wire.Open, 0})
	reader.want(reader.setMsg(id, wire.FileLinkInformation, renameInfo("more", false)), wire.StatusMediaWriteProtected)
}

func TestByteRangeLocks(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	a, b := p.newFile("file"), p.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
	p.want(p.writeMsg(a, 0, pattern(100)), wire.StatusOK)
	lock := func(id wire.FileID, off, n uint64, flags uint32) wire.Status {
		return status(p.ask(p.request(wire.CommandLock, 48, func(m []byte) {
			le.PutUint16(m[66:], 1)
			id.Put(m[72:])
			le.PutUint64(m[88:], off)
			le.PutUint64(m[96:], n)
			if flags != wire.LockUnlock {
				flags |= wire.LockFailImmediately
			}
			le.PutUint32(m[104:], flags)
		})))
	}
	storm := p.request(wire.CommandLock, 48, func(m []byte) {
		le.PutUint16(m[66:], 1000)
		a.Put(m[72:])
	}, make([]byte, 24*1000)...)
	p.want(storm, wire.StatusInvalidParameter)
	steps := []struct {
		what string
		got  func() wire.Status
		want wire.Status
	}{
		{"lock", func() wire.Status { return lock(a, 10, 10, wire.LockExclusive) }, wire.StatusOK},
		{"overlap", func() wire.Status { return lock(b, 19, 1, wire.LockShared) }, wire.StatusLockNotGranted},
		{"beside", func() wire.Status { return lock(b, 20, 10, wire.LockShared) }, wire.StatusOK},
		{"read under it", func() wire.Status { return status(p.ask(p.readMsg(b, 0, 11))) }, wire.StatusFileLockConflict},
		{"own read", func() wire.Status { return status(p.ask(p.readMsg(a, 0, 50))) }, wire.StatusOK},
		{"read beside", func() wire.Status { return status(p.ask(p.readMsg(b, 0, 10))) }, wire.StatusOK},
		{"write under it", func() wire.Status { return status(p.ask(p.writeMsg(b, 5, pattern(6)))) }, wire.StatusFileLockConflict},
		{"write under a shared lock", func() wire.Status { return status(p.ask(p.writeMsg(a, 25, pattern(1)))) }, wire.StatusFileLockConflict},
		{"unlock of another's", func() wire.Status { return lock(b, 10, 10, wire.LockUnlock) }, wire.StatusRangeNotLocked},
		{"unlock", func() wire.Status { return lock(a, 10, 10, wire.LockUnlock) }, wire.StatusOK},
		{"at the end of all", func() wire.Status { return lock(a, 1<<64-1, 1, wire.LockExclusive) }, wire.StatusOK},
		{"beyond the end of all", func() wire.Status { return lock(a, 1<<64-1, 2, wire.LockExclusive) }, wire.StatusInvalidLockRange},
		{"both kinds", func() wire.Status { return lock(a, 0, 1, wire.LockExclusive|wire.LockShared) }, wire.StatusInvalidParameter},
		{"close", func() wire.Status { return status(p.ask(p.closeMsg(b))) }, wire.StatusOK},
		{"after the close", func() wire.Status { return lock(a, 20, 10, wire.LockExclusive) }, wire.StatusOK},
	}
	for _, s := range steps {
		if got := s.got(); got != s.want {
			t.Errorf("%s: %v, want %v", s.what, got, s.want)
		}
	}
}

func TestListing(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for i := range 40 {
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("f%02d.txt", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(p.dir, "bad\xff"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := p.open("", opening{rd, shareAll, wire.Open, 0})
	for pat, want := range map[string]int{"*": 42, "f0*": 10, "F?0.TXT": 4, "f00.txt": 1, "<.txt": 40, "none": 0} {
		got := p.names(dir, pat)
		slices.Sort(got)
		if len(got) != want || len(slices.Compact(got)) != want {
			t.Errorf("%q: %d names, want %d", pat, len(got), want)
		}
	}
	r := p.ask(p.listMsg(dir, wire.FileNamesInformation, "f*", wire.RestartScans|wire.ReturnSingleEntry, 1000))
	if le.Uint32(r[72:]) != 0 || len(r) != 72+12+2*7 {
		t.Errorf("a single entry: %d bytes", len(r))
	}
	p.want(p.listMsg(dir, wire.FileNamesInformation, "*", wire.RestartScans, 10), wire.StatusInfoLengthMismatch)
	p.want(p.listMsg(dir, 99, "*", 0, 1000), wire.StatusInvalidInfoClass)
	p.want(p.listMsg(dir, wire.FileNamesInformation, "none", wire.RestartScans, 1000), wire.StatusNoSuchFile)
	p.want(p.listMsg(dir, wire.FileNamesInformation, "none", 0, 1000), wire.StatusNoMoreFiles)
	p.want(p.listMsg(p.newFile("file"), wire.FileNamesInformation, "*", 0, 1000), wire.StatusInvalidParameter)
	attributes := p.open("", opening{att, shareAll, wire.Open, 0})
	p.want(p.listMsg(attributes, wire.FileNamesInformation, "*", 0, 1000), wire.StatusAccessDenied)
}

func TestInformationOfEachClass(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file name")
	p.want(p.writeMsg(id, 0, pattern(1234)), wire.StatusOK)
	for class := range 256 {
		for _, kind := range []wire.InfoType{wire.InfoFile, wire.InfoFilesystem, wire.InfoSecurity, wire.InfoQuota, 9} {
			full := p.ask(p.queryMsg(id, kind, uint8(class), 4096))
			if status(full) != wire.StatusOK {
				continue
			}
			n := len(full) - 72
			if said := int(le.Uint32(full[68:])); said != n {
				t.Errorf("type %d class %d: %d bytes, says %d", kind, class, n, said)
			}
			for short := range n { // any shorter buffer is an error or a warning, never overrun
				r := p.ask(p.queryMsg(id, kind, uint8(class), short))
				if s := status(r); s == wire.StatusOK || s == wire.StatusBufferOverflow && len(r)-72 > short {
					t.Errorf("type %d class %d: %v with %d of %d bytes", kind, class, s, short, n)
				}
			}
		}
	}
	size := func() uint64 {
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)
		return le.Uint64(r[72+8:])
	}
	if size() != 1234 {
		t.Errorf("size %d", size())
	}
	p.want(p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, 5000)), wire.StatusOK)
	if size() != 5000 {
		t.Errorf("size %d", size())
	}
	p.want(p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 100)), wire.StatusOK)
	if size() != 100 {
		t.Errorf("size %d", size())
	}
	p.want(p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 1<<20)), wire.StatusOK)
	if size() != 100 {
		t.Errorf("allocation changed the size to %d", size())
	}
	p.want(p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, 1<<63)), wire.StatusInvalidParameter)
	when := time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)
	basic := make([]byte, 40)
	le.PutUint64(basic[8:], uint64(wire.FiletimeOf(when)))
	le.PutUint64(basic[16:], uint64(wire.FiletimeOf(when)))
	p.want(p.setMsg(id, wire.FileBasicInformation, basic), wire.StatusOK)
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileBasicInformation), 40), wire.StatusOK)
	if got := wire.Filetime(le.Uint64(r[72+16:])).Time(); !got.Equal(when) {
		t.Errorf("time is %v, set %v", got, when)
	}
}

func TestEndOfConnectionClosesAll(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.open("temp", opening{wire.AccessAll, 0, wire.Create, wire.OptionDeleteOnClose})
	p.newFile("file")
	p.hangUp()
	st := p.srv.Stats()
	if st.Opens != 0 || st.Sessions != 0 || st.Trees != 0 || st.Connections != 0 {
		t.Errorf("left: %+v", st)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "temp")); !os.IsNotExist(err) {
		t.Errorf("the temporary file: %v", err)
	}
}

// What can't be looked at for want of file descriptors is not left out of a listing: who mirrors the directory would delete it.
func TestAListingMissesNothingForWantOfDescriptors(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.close(p.newFile("a"), p.newFile("z"))
	if err := os.Symlink("a", filepath.Join(p.dir, "link")); err != nil {
		t.Fatal(err)
	}
	dir := p.open("", opening{rd, shareAll, wire.Open, wire.OptionDirectory})
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	may := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	defer may(limit.Cur)
	var got []string
	for flags := wire.RestartScans; ; flags = 0 {
		msg := p.listMsg(dir, wire.FileNamesInformation, "*", flags|wire.ReturnSingleEntry, 1000)
		may(0)
		r := p.ask(msg)
		may(limit.Cur)
		if status(r) == wire.StatusTooManyOpenedFiles {
			r = p.ask(p.listMsg(dir, wire.FileNamesInformation, "*", wire.ReturnSingleEntry, 1000))
		}
		if status(r) != wire.StatusOK {
			break
		}
		got = append(got, p.entryNames(r)...)
	}
	slices.Sort(got)
	if want := []string{".", "..", "a", "link", "z"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
