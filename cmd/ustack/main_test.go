package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"
)

// TestMain lets the test binary be the program: its tests run it as a user would.
func TestMain(m *testing.M) {
	if os.Getenv("USTACK_TEST_MAIN") == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), "USTACK_TEST_MAIN=1")
	return c
}

// started runs a server on loopback until the test ends, and returns its control
// socket and the way to stop it, which returns how it ended and what it logged.
func started(t *testing.T, args ...string) (socket string, stop func() (string, error)) {
	t.Helper()
	return startedWithLog(t, new(logBuffer), args...)
}

// A logBuffer may be read while a server writes it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func startedWithLog(t *testing.T, log *logBuffer, args ...string) (socket string, stop func() (string, error)) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "control")
	c := program(context.Background(), append(args, "--control", socket)...)
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	stopped := false
	stop = func() (string, error) {
		stopped = true
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			return log.String(), err
		case <-time.After(20 * time.Second):
			_ = c.Process.Kill()
			<-exited
			return log.String(), errors.New("did not stop")
		}
	}
	t.Cleanup(func() {
		if !stopped {
			if log, err := stop(); err != nil {
				t.Errorf("server: %v\n%s", err, log)
			}
		}
	})
	ready := time.NewTicker(10 * time.Millisecond)
	defer ready.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); <-ready.C {
		if _, err := readSnapshot(socket); err == nil {
			return socket, stop
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("server ended: %v\n%s", err, log.String())
		default:
		}
	}
	t.Fatal("server was not ready")
	return "", nil
}

// portOf is the port that a server, which was told 0, has got.
func portOf(t *testing.T, socket string) string {
	t.Helper()
	s, err := readSnapshot(socket)
	if err != nil || len(s.Addrs) != 1 {
		t.Fatalf("a server at %v: %v", s.Addrs, err)
	}
	_, port, err := net.SplitHostPort(s.Addrs[0])
	if err != nil || port == "0" {
		t.Fatalf("a server at %s: %v", s.Addrs[0], err)
	}
	return port
}

// kernelServer serves at a port that nobody else has.
func kernelServer(service string, more ...string) []string {
	return append([]string{"serve", service, "--stack", "kernel", "--addr", "127.0.0.1", "--port", "0"}, more...)
}

func TestLoadsRunAgainstTheSmallServices(t *testing.T) {
	for _, c := range []struct {
		service string
		more    []string
		load    []string
		bytes   uint64
	}{
		{"echo", nil, []string{"ping", "--requests", "100", "--flows", "3"}, 3 * 100 * 64 * 2},
		{"sink", []string{"--check"}, []string{"push", "--bytes", "3MiB", "--flows", "2"}, 6 << 20},
		{"source", []string{"--bytes", "5MiB", "--fill"}, []string{"pull"}, 5 << 20},
	} {
		t.Run(c.service, func(t *testing.T) {
			socket, stop := started(t, kernelServer(c.service, c.more...)...)
			port := portOf(t, socket)
			args := append([]string{"load"}, c.load...)
			out, err := program(t.Context(), append(args, "--to", "127.0.0.1:"+port, "--json")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			var r loadResult
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if r.Bytes != c.bytes {
				t.Errorf("%d bytes, want %d", r.Bytes, c.bytes)
			}
			s, err := readSnapshot(socket)
			if err != nil {
				t.Fatal(err)
			}
			if s.Stack != "kernel" || s.Service != c.service || s.Syscalls == 0 {
				t.Errorf("snapshot: %+v", s)
			}
			if log, err := stop(); err != nil {
				t.Errorf("stop: %v\n%s", err, log)
			}
			if _, err := os.Stat(socket); err == nil {
				t.Error("the control socket was left behind")
			}
		})
	}
}

func TestStoppingEndsAnIdleConnectionInOrder(t *testing.T) {
	socket, stop := started(t, kernelServer("echo")...)
	port := portOf(t, socket)
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "before" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	s, err := readSnapshot(socket)
	if err != nil || len(s.Conns) != 1 {
		t.Fatalf("%+v, %v", s.Conns, err)
	}
	if log, err := stop(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if n, err := conn.Read(buf); n != 0 || err == nil || err.Error() != "EOF" {
		t.Errorf("an idle client sees %d bytes, %v; want an end in order", n, err)
	}
}

// A pausing connection holds a message back in its midst, once it is armed.
type pausing struct {
	net.Conn
	armed atomic.Bool
	half  chan struct{} // closed when half of a message is on its way
	rest  chan struct{} // closed to let the rest follow
}

func (p *pausing) Write(b []byte) (int, error) {
	if len(b) < 10_000 || !p.armed.CompareAndSwap(true, false) {
		return p.Conn.Write(b)
	}
	n, err := p.Conn.Write(b[:len(b)/2])
	if err != nil {
		return n, err
	}
	close(p.half)
	<-p.rest
	m, err := p.Conn.Write(b[n:])
	return n + m, err
}

// A request that has begun when the server is told to stop is answered.
func TestStoppingWaitsForARequestThatHasBegun(t *testing.T) {
	dir := t.TempDir()
	socket, stop := started(t, kernelServer("smb", "--share", "pub="+dir)...)
	port := portOf(t, socket)
	received := func() uint64 {
		s, err := readSnapshot(socket)
		if err != nil {
			t.Fatal(err)
		}
		return s.Total.BytesIn
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	slow := &pausing{Conn: conn, half: make(chan struct{}), rest: make(chan struct{})}
	session, err := (&smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: "guest"}}).DialConn(t.Context(), slow, "")
	if err != nil {
		t.Fatal(err)
	}
	share, err := session.Mount("pub")
	if err != nil {
		t.Fatal(err)
	}
	file, err := share.Create("file")
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("ustack"), 10_000)
	wrote := make(chan error, 1)
	before := received()
	slow.armed.Store(true)
	go func() {
		_, err := file.Write(data)
		wrote <- err
	}()
	<-slow.half
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for received() < before+uint64(len(data)/2) {
		<-look.C
	}
	type end struct {
		log string
		err error
	}
	stopped := make(chan end, 1)
	go func() {
		log, err := stop()
		stopped <- end{log, err}
	}()
	for accepts := true; accepts; <-look.C {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if accepts = err == nil; accepts {
			c.Close()
		}
	}
	close(slow.rest)
	if err := <-wrote; err != nil {
		t.Errorf("the request was not answered: %v", err)
	}
	if e := <-stopped; e.err != nil {
		t.Errorf("%v\n%s", e.err, e.log)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || !bytes.Equal(b, data) {
		t.Errorf("the file has %d bytes, %v", len(b), err)
	}
}

func TestAFullTableRefusesAndSaysSo(t *testing.T) {
	socket, stop := started(t, kernelServer("echo", "--max-conns", "1")...)
	port := portOf(t, socket)
	first, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	buf := make([]byte, 1)
	if _, err := first.Write(buf); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(buf); err != nil {
		t.Fatal(err)
	}
	// The reset may come before connect has returned.
	if second, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
		defer second.Close()
		if _, err := second.Read(buf); err == nil {
			t.Error("a connection beyond the table was served")
		}
	}
	if log, err := stop(); err != nil || !strings.Contains(log, "connection table full") {
		t.Errorf("%v, logged:\n%s", err, log)
	}
}

func TestBadFlagsGetAClearError(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "echo", "--addr", "10.0.0.1"}, "prefix"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "10.0.0.1/24"}, "plain address"},
		{[]string{"serve", "echo", "--stack", "other", "--addr", "::1"}, "--stack"},
		{[]string{"serve", "echo"}, "--addr"},
		{[]string{"serve", "source", "--stack", "kernel", "--addr", "::1", "--bytes", "lots"}, "not a number of bytes"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "nameonly"}, "NAME=PATH"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + filepath.Join(dir, "missing")}, "no such file"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--user-file", filepath.Join(dir, "none")}, "no such file"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--max-io", "64MiB"}, "--max-io"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--max-io", "1"}, "--max-io"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--request-timeout=-1s"}, "--request-timeout"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--idle-timeout=0s"}, "--idle-timeout"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--ring-in", "4096"}, "--ring-in"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--ring-out", "4096"}, "--ring-out"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--congestion", "bogus"}, "bogus"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--congestion", "bogus"}, "available: "},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--max-conns", "0"}, "--max-conns"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--cpu", "0,1000"}, "--cpu: pin to CPUs [0 1000]: this machine has no CPU 1000"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--procs", "0"}, "--procs 0: want at least 1"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--shards", "0"}, "--shards 0: want at least 1"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--name", "SIXTEENLETTERSIN"}, "--name"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--workgroup", "SIXTEENLETTERSIN"}, "--workgroup"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--workgroup", ""}, "--workgroup"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--machine-sid", "S-1-1-0"}, "--machine-sid"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--ring-in", "1TiB"}, "--ring-in"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--copy-all"}, "--copy-all: only with --stack netstack\n"},
		{[]string{"serve", "--copy-all", "echo", "--stack", "kernel", "--addr", "127.0.0.1"}, "--copy-all"},
		{[]string{"serve", "sink", "--stack", "kernel", "--addr", "127.0.0.1", "--shards", "2"}, "--shards: only with --stack netstack\n"},
		{[]string{"serve", "source", "--stack", "kernel", "--addr", "127.0.0.1", "--tap", "x"}, "--tap: only with --stack netstack or stock\n"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + dir, "--host-addr", "10.0.0.1/24"}, "--host-addr: only with"},
		{[]string{"serve", "echo", "--stack", "stock", "--addr", "10.0.0.2/24", "--max-send", "64KiB"}, "--max-send: only with --stack netstack\n"},
		{[]string{"serve", "echo", "--addr", "127.0.0.1/8"}, "loopback"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--host-addr", "10.0.0.2/24"}, "--host-addr 10.0.0.2/24"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--addr", "10.0.0.2/24"}, "--addr 10.0.0.2/24: given twice"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--queues=-1"}, "--queues -1: want at least 1"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--in-flight", "1"}, "netstack: 1 bytes"},
		{[]string{"serve", "echo", "--stack", "stock", "--addr", "10.0.0.2/24", "--congestion", "bogus"}, "want cubic or reno"},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--congestion", ""}, "available: "},
		{[]string{"serve", "echo", "--stack", "kernel", "--addr", "127.0.0.1", "--control", "/" + strings.Repeat("x", 108)}, "--control: control socket: socket /xxx"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--gateway", "10.1.0.1"}, "--gateway 10.1.0.1"},
		{[]string{"serve", "echo", "--addr", "10.0.0.2/24", "--gateway", "10.0.0.2"}, "--gateway 10.0.0.2"},
		{[]string{"serve", "smb", "--stack", "kernel", "--addr", "127.0.0.1", "--share", "a=" + dir, "--port", "7", "--port", "7"}, "--port 7: given twice"},
		{[]string{"load", "ping", "--to", "127.0.0.1:1", "--size", "0"}, "--size"},
		{[]string{"load", "push", "--to", "127.0.0.1:1", "--flows", "0"}, "--flows"},
		{[]string{"stats", filepath.Join(dir, "nothing")}, "nothing"},
		{[]string{"demo", "--lab", "nosuchlab"}, "lab.sh"},
		{[]string{"compare", "--lab", "nosuchlab"}, "lab.sh"},
		{[]string{"smb", "user", "add", "--user-file", filepath.Join(dir, "users"), "a:b", "--password", "p"}, "name"},
		{[]string{"smb", "user", "add", "--user-file", filepath.Join(dir, "users"), "a"}, "--password-stdin"},
		{[]string{"smb", "user", "add", "--user-file", filepath.Join(dir, "users"), "a", "--password-stdin"}, "empty password"},
		{[]string{"smb", "user", "add", "--user-file", filepath.Join(dir, "users"), "a", "--password", "p", "--password-stdin"}, "can't be used together"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			out, err := program(t.Context(), c.args...).CombinedOutput()
			if err == nil {
				t.Fatalf("succeeded: %s", out)
			}
			if !strings.Contains(string(out), c.want) || strings.Contains(string(out), "panic") {
				t.Errorf("said %q, want it to mention %q", out, c.want)
			}
		})
	}
}

// Who calls the program can tell a wrong flag from a server that failed.
func TestAFlagThatHasNoSuchValueEndsWithAnExitCodeOfItsOwn(t *testing.T) {
	smb := []string{"serve", "smb", "--stack", "kernel", "--addr", "::1", "--share", "a=" + t.TempDir()}
	load := []string{"load", "smb", "get", "--to", "127.0.0.1:1"}
	for _, c := range []struct {
		args []string
		flag string
		code int
		want string
	}{
		{smb, "--min-protocol=CORE", 80, `"CORE": want one of NT1, SMB2_02, SMB2_10, SMB3_00, SMB3_02, SMB3_11`},
		{smb, "--max-protocol=SMB4", 80, `"SMB4": want one of`},
		{smb, "--max-protocol=", 80, `"": want one of`},
		{smb, "--encrypt=yes", 80, `"off","offered","required"`},
		{smb, "--recovery=luck", 80, `"sack","rack"`},
		{smb, "--idle-timeout=long", 80, "duration"},
		{smb, "--max-io=lots", 80, "not a number of bytes"},
		{smb, "--port=99999", 80, "uint"},
		{smb, "--nosuchflag", 80, "unknown flag"},
		{load, "--dialect=CORE", 80, `"CORE": want one of`},
		{smb, "--max-protocol=NT1", 1, "no dialect is left"},
		{smb, "--max-io=1", 1, "want 4096 to"},
	} {
		out, err := program(t.Context(), append(slices.Clone(c.args), c.flag)...).CombinedOutput()
		flag, _, _ := strings.Cut(c.flag, "=")
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != c.code || !strings.Contains(string(out), flag) || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, want code %d: %s; want %q", c.flag, err, c.code, out, c.want)
		}
	}
}

func TestRingsMayHaveUnitsAndAreLoggedAsUsed(t *testing.T) {
	_, stop := started(t, kernelServer("echo", "--ring-in", "200000", "--ring-out", "1MiB")...)
	if log, err := stop(); err != nil || !strings.Contains(log, "ring_in=262144 ring_out=1048576") {
		t.Errorf("%v, logged:\n%s", err, log)
	}
}

func TestUsersAreKeptInAPrivateFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	run := func(args ...string) string {
		t.Helper()
		out, err := program(t.Context(), append([]string{"smb", "user"}, append(args, "--user-file", file)...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	for _, c := range []struct{ name, password, want string }{
		{"alice", "secret", "added alice\n"}, {"bob", "other", "added bob\n"}, {"Alice", "changed", "changed Alice\n"},
	} {
		if got := run("add", c.name, "--password", c.password); got != c.want {
			t.Errorf("said %q, want %q", got, c.want)
		}
	}
	run("remove", "bob")
	if got := run("list", "--machine-sid", "S-1-5-21-1-2-3"); got != "alice\tS-1-5-21-1-2-3-1022288079\n" {
		t.Errorf("users: %q", got)
	}
	if got, other := run("list", "--name", "files"), run("list", "--name", "OTHER"); got != run("list", "--name", "FILES") || got == other {
		t.Errorf("users by the server's name: %q, by another %q", got, other)
	}
	fi, err := os.Stat(file)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	b, err := os.ReadFile(file)
	if err != nil || bytes.Contains(b, []byte("changed")) {
		t.Errorf("the password is in the file: %s, %v", b, err)
	}
}

func TestAControlSocketIsNeverTakenFromAnother(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := program(t.Context(), append(kernelServer("echo"), "--control", file)...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "something else is there") {
		t.Errorf("%v: %s", err, out)
	}
	socket, _ := started(t, kernelServer("echo")...)
	out, err = program(t.Context(), append(kernelServer("echo"), "--control", socket)...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "answers there already") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestParsing(t *testing.T) {
	for text, want := range map[string]byteSize{"0": 0, "512": 512, "64KiB": 64 << 10, "1.5 MiB": 3 << 19, "2GB": 2e9, "7B": 7} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v, want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1 parsec", "1e300", "NaN"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for %d", text, b)
		}
	}
	sh, err := parseShare("pub=/srv/a=b,ro")
	if err != nil || sh.Name != "pub" || sh.Path != "/srv/a=b" || !sh.ReadOnly {
		t.Errorf("%+v, %v", sh, err)
	}
	for out, want := range map[string]float64{
		`putting file x as \x (306601.1 kb/s) (average 306601.2 kb/s)`:                             306601.1 * 1024 / 1e6,
		`getting file \x of size 9 as y (339125.4 KiloBytes/sec) (average 339125.5 KiloBytes/sec)`: 339125.4 * 1024 / 1e6,
	} {
		if got, err := goodput(out); err != nil || math.Abs(got-want) > 1e-6 {
			t.Errorf("%q: %v, %v", out, got, err)
		}
	}
	if m := median([]float64{3, 1, 2}); m != 2 {
		t.Errorf("median %v", m)
	}
	if m := median([]float64{4, 1, 2, 3}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}
