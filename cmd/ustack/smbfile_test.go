package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"
)

// writeSMBFile writes a configuration beside what it names.
func writeSMBFile(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "ustack.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// addUser makes an account in a file of users.
func addUser(t *testing.T, file, name, password string) {
	t.Helper()
	if out, err := program(t.Context(), "smb", "user", "add", "--user-file", file, "--password", password, name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// mounts says whether a user gets at a share.
func mounts(t *testing.T, port, user, share string) error {
	t.Helper()
	s, err := dial(t, port, user)
	if err != nil {
		return err
	}
	defer s.Logoff()
	fs, err := s.Mount(share)
	if err != nil {
		return err
	}
	return fs.Umount()
}

func dial(t *testing.T, port, user string) (*smb2.Session, error) {
	t.Helper()
	d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: user, Password: "secret"}}
	return d.Dial(t.Context(), "127.0.0.1:"+port)
}

func parseArgs(c *cli, args ...string) error {
	_, err := newParser(c).Parse(args)
	return err
}

// exampleFile is docs/ustack.toml with its directories below dir, and two users.
func exampleFile(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/ustack.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pub", "staff"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"alice", "carol"} {
		addUser(t, filepath.Join(dir, "users"), user, "secret")
	}
	return writeSMBFile(t, dir, strings.ReplaceAll(string(text), `"/srv/`, `"`))
}

func TestTheExampleOfAConfigurationServes(t *testing.T) {
	dir := t.TempDir()
	socket, _ := started(t, "serve", "smb", "--config", exampleFile(t, dir), "--stack", "kernel", "--addr", "127.0.0.1", "--port", "0")
	port := portOf(t, socket)
	for _, c := range []struct {
		user, share string
		allowed     bool
	}{
		{"alice", "pub", true}, {"alice", "staff", true}, {"ALICE", "STAFF", true}, {"carol", "pub", true}, {"carol", "staff", false},
	} {
		if err := mounts(t, port, c.user, c.share); (err == nil) != c.allowed {
			t.Errorf("%s on %s: %v", c.user, c.share, err)
		}
	}
	if _, err := dial(t, port, "nobody"); err == nil {
		t.Error("a guest was let in")
	}
}

// What the example says is the default must be it.
func TestTheExampleTellsTheDefaults(t *testing.T) {
	dir := t.TempDir()
	var all, none cli
	parse := func(c *cli, args ...string) *serveSMBCmd {
		t.Helper()
		if err := parseArgs(c, append([]string{"serve", "smb"}, args...)...); err != nil {
			t.Fatal(err)
		}
		m, err := c.Serve.SMB.merged()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	with := parse(&all, "--config", exampleFile(t, dir))
	without := parse(&none, "--share", "pub="+dir, "--addr", "10.77.0.2/24", "--host-addr", "10.77.0.1/24")
	with.Share, with.Config, with.shares, with.keys, with.given, with.on = nil, "", nil, nil, nil, nil
	without.Share, without.shares, without.keys, without.given, without.on = nil, nil, nil, nil, nil
	without.UserFile, without.Guest = with.UserFile, with.Guest
	with.Gateway, with.CPU, with.Admin = nil, nil, nil // empty lists
	l := &with.limits
	for _, v := range []struct{ got, want int }{
		{l.MaxSessions, 64}, {l.MaxChannels, 32}, {l.MaxTrees, 256}, {l.MaxOpens, 4096}, {l.MaxCredits, 8192}, {l.MaxCompound, 64}, {l.MaxPending, 512},
	} {
		if v.got != v.want {
			t.Errorf("a limit of %d, want %d", v.got, v.want)
		}
	}
	*l = without.limits
	if got, want := fmt.Sprintf("%+v", *with), fmt.Sprintf("%+v", *without); got != want {
		t.Errorf("the example makes\n%s\nand no file\n%s", got, want)
	}
}

func TestAFlagCountsForMoreThanTheFile(t *testing.T) {
	dir := t.TempDir()
	file := writeSMBFile(t, dir, `
network = {stack = "kernel", addresses = ["127.0.0.1", "::1"], ports = [1445, 139]}
server.name = "FILE"
limits.idle_timeout = "7m"
security.administrators = ["carol"]
share.a.path = "a"
`)
	for _, c := range []struct {
		args []string
		want func(*serveSMBCmd) bool
	}{
		{nil, func(m *serveSMBCmd) bool {
			return m.Stack == "kernel" && len(m.Addr) == 2 && slices.Equal(m.Port, []uint16{1445, 139}) && m.Name == "FILE" &&
				slices.Equal(m.Admin, []string{"carol"}) &&
				m.IdleTimeout.Minutes() == 7 && m.shares[0].Path == filepath.Join(dir, "a")
		}},
		{[]string{"--addr", "127.0.0.2", "--port", "445", "--name", "FLAG", "--idle-timeout", "15m"}, func(m *serveSMBCmd) bool {
			return slices.Equal(m.Addr, []string{"127.0.0.2"}) && slices.Equal(m.Port, []uint16{445}) && m.Name == "FLAG" && m.IdleTimeout.Minutes() == 15
		}},
		{[]string{"--admin", "alice", "--admin", "bob", "--machine-sid", "S-1-5-21-7-8-9"}, func(m *serveSMBCmd) bool {
			cfg, err := m.settings(slog.New(slog.DiscardHandler))
			return err == nil && slices.Equal(cfg.Admins, []string{"alice", "bob"}) && cfg.MachineSID.String() == "S-1-5-21-7-8-9"
		}},
		{[]string{"--share", "b=" + dir}, func(m *serveSMBCmd) bool { return len(m.shares) == 1 && m.shares[0].Name == "b" }},
	} {
		var all cli
		if err := parseArgs(&all, append([]string{"serve", "smb", "--config", file}, c.args...)...); err != nil {
			t.Fatal(err)
		}
		m, err := all.Serve.SMB.merged()
		if err != nil || !c.want(m) {
			t.Errorf("%v: %v, %+v", c.args, err, m)
		}
	}
}

func TestAWrongFileIsRefusedWithThePlace(t *testing.T) {
	const served = "network.stack = \"kernel\"\nnetwork.addresses = [\"127.0.0.1\"]\nshare.a.path = \".\"\n"
	for _, c := range []struct{ text, want string }{
		{served + "\nshare.a.pathh = \"x\"\n", `ustack.toml:5:1: there is no key "share.a.pathh"`},
		{"[limits]\nopens = \"many\"\n", "ustack.toml:2:9: limits.opens: this is of type string: want an integer\n"},
		{"[limits]\nmax_io = [1]\n", "ustack.toml:2:10: limits.max_io: this is of type array: want bytes, such as 65536"},
		{"[network]\nports = [\"x\"]\n", "ustack.toml:2:10: network.ports: this is of type string: want an integer from 0 to 65535\n"},
		{"[limits]\nidle_timeout = 15\n", "ustack.toml:2:"},
		{served + "limits.idle_timeout = \"15\"", "limits.idle_timeout: time: missing unit"},
		{"[limits]\nmax_io = \"1 parsec\"\n", "ustack.toml:2:10: "},
		{"\ufeff" + served + "x = 1\r\n", `ustack.toml:4:1: there is no key "x"`},
		{"[network\n", "ustack.toml:1:"},
		{"[share.a]\npath = \"x\"\n[share.a]\n", "ustack.toml:3:"},
		{"network.ports = [70000]", "ustack.toml:1:18: network.ports: 70000 does not fit: want an integer from 0 to 65535\n"},
		{"limits.max_io = -5", `ustack.toml:1:17: limits.max_io: -5 does not fit: want bytes, such as 65536 or "64KiB"`},
		{"share = 1", "ustack.toml:1:9: share: this is of type integer: want tables [share.NAME]\n"},
		{"share.b = 1", "ustack.toml:1:11: share.b: this is of type integer: want a table\n"},
		{"limits = \"1\"", "ustack.toml:1:10: limits: this is of type string: want a table\n"},
		{served + "limits.opens = 0", "limits.opens 0: want at least 1"},
		{served + "limits.opens = 9999999", "limits.opens 9999999: "},
		{served + "limits.durable_timeout = \"2h\"\nlimits.max_durable_timeout = \"1h\"", "limits: "},
		{served + "limits.durable_timeout = \"2\"", "limits.durable_timeout: time: missing unit in duration \"2\": want a time such as"},
		{served + "security.guests = false", "ustack.toml: security.guests without --user-file: nobody"},
		{served + "security.signing = \"required\"", "ustack.toml: security.signing: guests have no key"},
		{served + "security.users = \"\"", "security.users is empty"},
		{served + "share.b = {path = \".\", users = []}", "share.b.users is empty"},
		{served + "server.user = \"nosuchuser\"", "ustack.toml: server.user"},
		{served + "server.metrics = \"127.0.0.1:70000\"", `ustack.toml: server.metrics "127.0.0.1:70000": want HOST:PORT`},
		{strings.Replace(served, "127.0.0.1", "localhost", 1), `ustack.toml: network.addresses "localhost": on the kernel`},
		{served + "network.procs = 9999", "ustack.toml: network.procs 9999: want at most 1024"},
		{served + "security.signing = \"maybe\"", "security.signing"},
		{served + "security.encryption = \"maybe\"", "ustack.toml: security.encryption"},
		{served + "security.min_protocol = \"CORE\"", `ustack.toml: security.min_protocol "CORE": want one of NT1, SMB2_02`},
		{served + "security.max_protocol = 785", "ustack.toml:4:25: security.max_protocol: this is of type integer: want a string\n"},
		{served + "security.min_protocol = 0", "ustack.toml:4:25: security.min_protocol: this is of type integer: want a string\n"},
		{served + "server.sid = \"S-1-5-21-x\"", "ustack.toml: server.sid: malformed"},
		{served + "server.sid = \"S-1\"", "ustack.toml: server.sid: malformed"},
		{served + "server.name = \"A\\u0000\"", "ustack.toml: server.name"},
		{served + "server.workgroup = \"SIXTEENLETTERSIN\"", "ustack.toml: server.workgroup"},
		{served + "network.tap = \"x\"", "ustack.toml: network.tap: only with"},
		{served + "share.b.comment = \"x\"", "share.b: no path"},
		{served + "share.A.path = \".\"", "two shares"},
		{served + "network.ports = []", "network.ports: want at least one"},
		{"network.stack = \"kernel\"\nshare.a.path = \".\"", "no address"},
		{"network.stack = \"kernel\"\nnetwork.addresses = [\"127.0.0.1\"]", "nothing to share"},
		{strings.Repeat("#", mostSMBFile+1), "larger than"},
	} {
		out, err := program(t.Context(), "serve", "smb", "--config", writeSMBFile(t, t.TempDir(), c.text)).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%.200q: %v: %s; want %q", c.text, err, out, c.want)
		}
	}
}

// What comes from a pipe is there once, and the file is read at each SIGHUP.
func TestAConfigurationFromAPipeIsRefusedWithTheReason(t *testing.T) {
	c := program(t.Context(), "serve", "smb", "--config", "/dev/stdin")
	c.Stdin = strings.NewReader("share.a.path = \".\"\n")
	out, err := c.CombinedOutput()
	if want := "ustack: --config: /dev/stdin is not a regular file: want one, which SIGHUP can have read again\n"; err == nil || string(out) != want {
		t.Errorf("%v: %s; want %s", err, out, want)
	}
}

func FuzzSMBFile(f *testing.F) {
	example, err := os.ReadFile("../../docs/ustack.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("share.a = {path = \"x\", users = []}\nlimits.max_io = \"1KiB\"")
	f.Add("[network]\nports = [1, 2]\n[share.\"\\u0000\"]\npath=\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parseSMBFile([]byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), ":") {
				t.Errorf("%v: no place", err)
			}
			return
		}
		m := &serveSMBCmd{stackFlags: stackFlags{keys: map[string]string{}}}
		if err := m.take(file); err == nil && len(m.shares) != len(file.Share) {
			t.Errorf("%d shares of %d", len(m.shares), len(file.Share))
		}
	})
}

// dialWhenServed logs on as alice to a server that may not serve yet.
func dialWhenServed(t *testing.T, socket string, log *logBuffer) *smb2.Session {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); <-again.C {
		if _, err := readSnapshot(socket); err != nil {
			continue
		}
		if s, err := dial(t, portOf(t, socket), "alice"); err == nil {
			return s
		}
	}
	t.Fatalf("nobody is served: %s", log)
	return nil
}
