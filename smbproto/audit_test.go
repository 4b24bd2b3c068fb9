package smbproto

import (
	"bytes"
	"encoding/json"
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
