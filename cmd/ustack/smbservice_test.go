package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hangUp sends SIGHUP to a server, and waits until done.
func hangUp(t *testing.T, socket string, done func() bool) {
	t.Helper()
	s, err := readSnapshot(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); <-again.C {
		if done() {
			return
		}
	}
	t.Error("the settings have not been read again")
}

func TestSIGHUPReadsTheSettingsAgain(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	addUser(t, filepath.Join(dir, "users"), "alice", "secret")
	const server = "network.stack = \"kernel\"\nnetwork.addresses = [\"127.0.0.1\"]\nsecurity.users = \"users\"\n"
	write := func(text string) string { return writeSMBFile(t, dir, server+text) }
	file := write("share.a.path = \"a\"\n")
	var log logBuffer
	socket, stop := startedWithLog(t, &log, "serve", "smb", "--config", file, "--port", "0")
	port := portOf(t, socket)
	open := func(share string) bool { return mounts(t, port, "alice", share) == nil }

	s, err := dial(t, port, "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Logoff()
	a, err := s.Mount("a")
	if err != nil {
		t.Fatal(err)
	}
	write("share.a.path = \"a\"\nshare.b.path = \"b\"\n")
	hangUp(t, socket, func() bool { return open("b") })
	if err := a.WriteFile("file", []byte("x"), 0o644); err != nil {
		t.Errorf("a share that stays: %v", err)
	}
	write("share.b = {path = \"b\", users = [\"bob\"]}\nserver = {workgroup = \"OTHER\", sid = \"S-1-5-21-1-2-3\"}")
	hangUp(t, socket, func() bool { return !open("b") })
	if open("a") {
		t.Error("a share that was removed is still there")
	}
	if err := a.WriteFile("file", []byte("y"), 0o644); err == nil {
		t.Error("who was connected to a share that was removed still writes to it")
	}
	for i, wrong := range []string{"share.b.path = 1", "share.c.path = \"c\"", "[share", "limits.opens = 0\nshare.b.path = \"b\"", "server.metrics = \"9445\"\nshare.b.path = \"b\""} {
		write(wrong)
		hangUp(t, socket, func() bool { return strings.Count(log.String(), "the settings stay as they were") == i+1 })
	}
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
		t.Fatal(err)
	}
	hangUp(t, socket, func() bool { return strings.Contains(log.String(), "ustack.toml is not a regular file") })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write("share.a.path = \"a\"\n")
	hangUp(t, socket, func() bool { return open("a") })
	if _, err := stop(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"shares_removed=[a]", "trees_ended=1", "needs a restart to change", "server.workgroup", "server.sid"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, log.String())
		}
	}
}

func TestTheAuditLogIsOpenedAgainAtSIGHUP(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit")
	socket, stop := started(t, kernelServer("smb", "--share", "pub="+dir, "--audit", file)...)
	port := portOf(t, socket)
	if err := mounts(t, port, "alice", "pub"); err != nil {
		t.Fatal(err)
	}
	moved := file + ".1"
	if err := os.Rename(file, moved); err != nil {
		t.Fatal(err)
	}
	hangUp(t, socket, func() bool { _, err := os.Stat(file); return err == nil })
	if err := mounts(t, port, "bob", "pub"); err != nil {
		t.Fatal(err)
	}
	s, err := readSnapshot(socket)
	if err != nil || s.Audit == nil || s.Audit.Events < 4 || s.Audit.Lost != 0 {
		t.Errorf("%+v, %v", s.Audit, err)
	}
	if _, err := stop(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{moved: "alice", file: "bob"} {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), `"event":"log-on"`) || !strings.Contains(string(text), `"user":"`+want+`"`) ||
			strings.Count(string(text), `"event":"tree connect"`) != 1 {
			t.Errorf("%s: %v: %s", path, err, text)
		}
	}
}

func TestAClientIsRefusedOneConnectionTooMany(t *testing.T) {
	dir := t.TempDir()
	file := writeSMBFile(t, dir, "network.stack = \"kernel\"\nnetwork.addresses = [\"127.0.0.1\"]\nshare.a.path = \".\"\nlimits.client_connections = 2\n")
	socket, _ := started(t, "serve", "smb", "--config", file, "--port", "0")
	port := portOf(t, socket)
	for range 2 {
		s, err := dial(t, port, "alice")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Logoff()
	}
	if _, err := dial(t, port, "alice"); err == nil {
		t.Error("a third connection is served")
	}
}

// A server outlives who reads its log.
func TestALogThatNobodyReadsEndsNoServer(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "control")
	c := program(t.Context(), append(kernelServer("smb", "--share", "pub="+t.TempDir()), "--control", socket)...)
	c.Stderr = w
	if err := errors.Join(c.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	for log := bufio.NewScanner(r); log.Scan() && !strings.Contains(log.Text(), "msg=serving"); {
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each is logged
		if err := mounts(t, portOf(t, socket), "guest", "pub"); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()); err != nil {
		t.Error(err)
	}
}
