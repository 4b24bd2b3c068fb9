package smbproto

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ustack/smbproto/audit"
	"ustack/smbproto/wire"
)

// events are the lines of an audit log, as "event status" with what is asked for of the rest.
func events(t *testing.T, log *bytes.Buffer, keys ...string) (list []string) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, key := range []string{"time", "session", "user", "domain", "guest", "remote"} {
			if _, ok := e[key]; !ok {
				t.Errorf("%s: no %s", line, key)
			}
		}
		words := []string{e["event"].(string), e["status"].(string)}
		for _, key := range keys {
			if v, ok := e[key]; ok {
				words = append(words, v.(string))
			}
		}
		list = append(list, strings.Join(words, " "))
	}
	return list
}

func TestAnAuditLogTellsWhatUsersDo(t *testing.T) {
	var log bytes.Buffer
	p := newPeer(t, func(c *Config) { c.Audit = audit.NewLogger(&log) }).logOn("pub")
	p.want(p.treeMsg(`\\server\none`), wire.StatusBadNetworkName)
	id := p.newFile("file")
	p.tryOpen("none", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
	p.want(p.readMsg(id, 0, 1), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("other", false)), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	p.want(p.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
	want := []string{
		`log-on STATUS_SUCCESS`,
		`tree connect STATUS_SUCCESS \\server\pub`,
		`tree connect STATUS_BAD_NETWORK_NAME \\server\none`,
		`create STATUS_SUCCESS pub \file overwrite_if`,
		`create STATUS_OBJECT_NAME_NOT_FOUND pub \none open`,
		`rename STATUS_SUCCESS pub \file \other`,
		`delete STATUS_SUCCESS pub \other`,
		`log-off STATUS_SUCCESS`,
	}
	got := events(t, &log, "share", "path", "to", "disposition")
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnAuditLogTellsWhoWasRefused(t *testing.T) {
	var log bytes.Buffer
	p := newPeer(t, func(c *Config) { c.Audit, c.Auth.Guest = audit.NewLogger(&log), false })
	p.want(p.negotiateMsg(0x0210), wire.StatusOK)
	p.session = wire.Header(p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)).SessionID()
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusLogonFailure)
	p.hangUp()
	if got := events(t, &log, "cause"); len(got) != 1 || !strings.HasPrefix(got[0], "log-on refused STATUS_LOGON_FAILURE ") {
		t.Errorf("%q", got)
	}
}

// A session is called the same in both logs.
func TestASessionHasOneNameInAllLogs(t *testing.T) {
	var log, lines bytes.Buffer
	newPeer(t, func(c *Config) {
		c.Log, c.Audit = slog.New(slog.NewTextHandler(&log, nil)), audit.NewLogger(&lines)
	}).logOn("pub")
	var e struct{ Session string }
	line, _, _ := strings.Cut(lines.String(), "\n")
	if err := json.Unmarshal([]byte(line), &e); err != nil || e.Session == "" || !strings.Contains(log.String(), "session="+e.Session+"\n") {
		t.Errorf("%v: %s%s", err, log.String(), line)
	}
}

// What is not an event asks nothing of the log, and READ and WRITE allocate nothing with it either.
func TestAnAuditLogCostsReadAndWriteNothing(t *testing.T) {
	var log bytes.Buffer
	p := newPeer(t, func(c *Config) { c.Audit = audit.NewLogger(&log) }).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(4<<10))), wire.StatusOK)
	before := log.Len()
	for name, msg := range map[string]func() []byte{
		"READ": func() []byte { return p.readMsg(id, 0, 4<<10) }, "WRITE": func() []byte { return p.writeMsg(id, 0, pattern(4<<10)) },
	} {
		s := newSteady(p, msg())
		p.message--
		if n := testing.AllocsPerRun(50, func() { s.once(t, 64<<10) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if log.Len() != before {
		t.Errorf("lines of READ and WRITE: %s", log.String()[before:])
	}
}

// What is not deleted, renamed or linked has one line that says why.
func TestAnAuditLogTellsOfChangesThatAreRefused(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	srv := newServerIn(t, dir, func(c *Config) {
		allowSMB1(c)
		c.Audit = audit.NewLogger(&log)
	})
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.MkdirAll(filepath.Join(dir, "dir", "sub"), 0o700),
		os.MkdirAll(filepath.Join(dir, "other", "sub"), 0o700)); err != nil {
		t.Fatal(err)
	}
	two := connect(t, srv, dir).logOn("pub")
	id := two.open("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	full := two.open("dir", opening{wire.AccessAll, shareAll, wire.Open, wire.OptionDirectory})
	one, ro := connect1(t, srv, dir).logOn1("pub"), connect1(t, srv, dir).logOn1("ro")
	fid := one.open1("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	unix := connect1(t, srv, dir).logOn1("ro").posix()
	path := func(name string) []byte { return append(append([]byte{4}, utf16le(name)...), 0, 0) }
	hard := func(p *peer1, name string) func() wire.Status {
		names := append(append([]byte{4}, utf16le(name)...), 0, 0, 4, 0)
		msg := p.msg(wire.SMB1NTRename, words(uint16(6), uint16(0x103), uint32(0)), append(append(names, utf16le("new")...), 0, 0))
		return func() wire.Status { return p.ask1(msg).Status() }
	}
	setFile := words(fid, uint16(0x102), uint16(0))
	for _, c := range []struct {
		ask  func() wire.Status
		want string
	}{
		{func() wire.Status { return status(two.ask(two.setMsg(id, wire.FileDispositionInformation, []byte{1}))) }, `delete STATUS_ACCESS_DENIED pub \file`},
		{func() wire.Status {
			return status(two.ask(two.setMsg(full, wire.FileDispositionInformation, []byte{1})))
		}, `delete STATUS_DIRECTORY_NOT_EMPTY pub \dir`},
		{func() wire.Status {
			return status(two.ask(two.setMsg(full, wire.FileDispositionInformation, []byte{0})))
		}, ``},
		{func() wire.Status {
			return one.ask1(one.trans2Msg(8, setFile, []byte{1}, len(setFile), 1, 100)).Status()
		}, `delete STATUS_ACCESS_DENIED pub \file`},
		{func() wire.Status { return one.ask1(one.pathMsg(6, uint16(0x102), `\dir`, []byte{1})).Status() }, `delete STATUS_DIRECTORY_NOT_EMPTY pub \dir`},
		{func() wire.Status { return ro.ask1(ro.pathMsg(6, uint16(0x102), `\file`, []byte{1})).Status() }, `delete STATUS_ACCESS_DENIED ro \file`},
		{func() wire.Status {
			return ro.ask1(ro.msg(wire.SMB1Delete, words(uint16(0x16)), path(`\file`))).Status()
		}, `delete STATUS_ACCESS_DENIED ro \file`},
		{func() wire.Status { return one.ask1(one.msg(wire.SMB1DeleteDirectory, nil, path(`\dir`))).Status() }, `delete STATUS_DIRECTORY_NOT_EMPTY pub \dir`},
		{func() wire.Status { return one.ask1(one.msg(wire.SMB1DeleteDirectory, nil, path(`\other`))).Status() }, `delete STATUS_DIRECTORY_NOT_EMPTY pub \other`},
		{func() wire.Status { return unix.ask1(unix.unlinkMsg("/file", 0)).Status() }, `delete STATUS_ACCESS_DENIED ro \file`},
		{func() wire.Status {
			names := append(append([]byte{4}, utf16le("file")...), 0, 0, 4, 0)
			return ro.ask1(ro.msg(wire.SMB1Rename, words(uint16(0x16)), append(append(names, utf16le("new")...), 0, 0))).Status()
		}, `rename STATUS_ACCESS_DENIED ro \file \new`},
		{hard(ro, "file"), `link STATUS_ACCESS_DENIED ro \file \new`},
		{hard(one, "none"), `link STATUS_OBJECT_NAME_NOT_FOUND pub \none \new`},
		{hard(one, "dir"), `link STATUS_NO_SUCH_FILE pub \dir \new`},
		{func() wire.Status {
			return unix.ask1(unix.pathMsg(6, wire.SMB1InfoUnixHardLink, "/new", append(utf16le("/file"), 0, 0))).Status()
		}, `link STATUS_ACCESS_DENIED ro \file \new`},
		{func() wire.Status { return unix.ask1(unix.linkMsg("/new", "/etc")).Status() }, `symbolic link STATUS_ACCESS_DENIED ro \new`},
	} {
		log.Reset()
		s := c.ask()
		if got := strings.Join(events(t, &log, "share", "path", "to"), "\n"); got != c.want || (s == wire.StatusOK) != (c.want == "") {
			t.Errorf("%v: %q, want %q", s, got, c.want)
		}
	}
}
