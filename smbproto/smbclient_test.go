package smbproto

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// smbclient runs the real client. It must be installed where CI runs.
func (ts *testServer) smbclient(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("smbclient"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("smbclient must be installed: apt-get install smbclient")
		}
		t.Skip("smbclient is not installed: apt-get install smbclient")
	}
	cmd := exec.Command("smbclient", append([]string{"-p", ts.port(), "-s", "/dev/null"}, args...)...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// asAlice are the arguments of a smbclient that speaks one dialect only.
func asAlice(dialect string, more ...string) []string {
	return append([]string{"-U", "alice%secret", "-m", dialect, "--option=client min protocol=" + dialect}, more...)
}

const encrypt = "--client-protection=encrypt"

func randomFile(t *testing.T, n int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, n)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "random")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestSmbclientListsShares(t *testing.T) {
	ts := startServer(t, nil)
	for _, as := range [][]string{{"-N"}, {"-U", "alice%secret"}} {
		out, err := ts.smbclient(t, append(as, "-L", "127.0.0.1")...)
		if err != nil || !strings.Contains(out, "pub ") || !strings.Contains(out, "files") || !strings.Contains(out, "IPC$") {
			t.Errorf("as %v: %v\n%s", as, err, out)
		}
	}
}

func TestSmbclientDoesItsWork(t *testing.T) {
	type how struct {
		name string
		args []string
	}
	cases := []how{
		{"guest", []string{"-N"}},
		{"user", []string{"-U", "alice%secret"}},
		{"signing", []string{"-U", "alice%secret", "--client-protection=sign"}},
		{"guest of 2.02", []string{"-N", "-m", "SMB2_02"}},
		{"from SMB1", []string{"-N", "--option=client min protocol=NT1"}},
		{"signing by CMAC", []string{"-U", "alice%secret", "--client-protection=sign", "--option=client smb3 signing algorithms=AES-128-CMAC"}},
		{"signing by HMAC", []string{"-U", "alice%secret", "--client-protection=sign", "--option=client smb3 signing algorithms=HMAC-SHA256"}},
	}
	for _, dialect := range []string{"SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02", "SMB3_11"} {
		cases = append(cases, how{dialect, asAlice(dialect)}, how{dialect + " signed", asAlice(dialect, "--client-protection=sign")})
		if dialect >= "SMB3" {
			cases = append(cases, how{dialect + " encrypted", asAlice(dialect, encrypt)})
		}
	}
	for _, cipher := range []string{"AES-128-GCM", "AES-256-GCM", "AES-128-CCM", "AES-256-CCM"} {
		cases = append(cases, how{cipher, asAlice("SMB3_11", encrypt, "--option=client smb3 encryption algorithms="+cipher)})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			worksWith(t, startServer(t, nil), c.args)
		})
	}
}

// worksWith has smbclient put a file, look at it, get it back and take it away.
func worksWith(t *testing.T, ts *testServer, args []string) {
	t.Helper()
	path, content := randomFile(t, 5<<20+123)
	back := filepath.Join(t.TempDir(), "back")
	out, err := ts.smbclient(t, append(args, "//127.0.0.1/pub", "-c",
		"mkdir dir; cd dir; put "+path+" a.bin; ls; rename a.bin b.bin; allinfo b.bin; get b.bin "+back+"; du; cd ..; ls DIR/B.BIN")...)
	if err != nil || strings.Contains(out, "NT_STATUS") {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(back)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("what came back is not what was put: %v, %d bytes", err, len(got))
	}
	if stored, err := os.ReadFile(filepath.Join(ts.dir, "dir", "b.bin")); err != nil || !bytes.Equal(stored, content) {
		t.Errorf("what is stored is not what was put: %v", err)
	}
	out, err = ts.smbclient(t, append(args, "//127.0.0.1/pub", "-c", "del dir/b.bin; rmdir dir; ls")...)
	if err != nil || strings.Contains(out, "NT_STATUS") {
		t.Fatalf("%v\n%s", err, out)
	}
	if left, _ := os.ReadDir(ts.dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSmbclientAsksForMore(t *testing.T) {
	asksForMore(t, startServer(t, nil), []string{"-U", "alice%secret"})
}

// asksForMore has smbclient do what its users do less often, and leave nothing.
func asksForMore(t *testing.T, ts *testServer, args []string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(ts.dir, "a b", "ünïcode"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ts.dir, "a b", "ünïcode", "x.txt"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ask, want string }{
		{"volume", "Volume: |pub|"},
		{`allinfo "a b/ünïcode/x.txt"`, "stream: [::$DATA], 7 bytes"},
		{`setmode "a b/ünïcode/x.txt" +r; allinfo "a b/ünïcode/x.txt"`, "attributes: R"},
		{`setmode "a b/ünïcode/x.txt" -r; allinfo "a b/ünïcode/x.txt"`, "attributes: A (20)"},
		{`utimes "a b" -1 -1 2001:02:03-04:05:06 -1; ls`, "Sat Feb  3 04:05:06 2001"},
		{"showacls; ls", "S-1-1-0"},
		{"recurse; ls", "x.txt"},
		{"recurse; prompt; mget *", "of size 7 as a b/ünïcode/x.txt"},
		{`tar c all.tar "a b"`, "Total bytes written: 7"},
		{`deltree "a b"; ls`, "blocks available"},
	} {
		out, err := ts.smbclient(t, append(slices.Clone(args), "//127.0.0.1/pub", "-c", c.ask)...)
		if err != nil || !strings.Contains(out, c.want) || strings.Contains(out, "NT_STATUS") {
			t.Errorf("%s: %v, want %q\n%s", c.ask, err, c.want, out)
		}
	}
	if left, _ := os.ReadDir(ts.dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSmbclientIsRefused(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.Auth.Guest = false })
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-U", "alice%wrong", "//127.0.0.1/pub"}, "NT_STATUS_LOGON_FAILURE"},
		{[]string{"-U", "carol%secret", "//127.0.0.1/pub"}, "NT_STATUS_LOGON_FAILURE"},
		{[]string{"-U", "alice%secret", "//127.0.0.1/nothere"}, "NT_STATUS_BAD_NETWORK_NAME"},
		{[]string{"-U", "alice%secret", "//127.0.0.1/ro", "-c", "mkdir x"}, "NT_STATUS_"},
		{[]string{"-U", "alice%secret", "//127.0.0.1/pub", "-c", "get missing"}, "NT_STATUS_OBJECT_NAME_NOT_FOUND"},
		{[]string{"-U", "alice%secret", "//127.0.0.1/pub", "-c", "get no/missing"}, "NT_STATUS_OBJECT_PATH_NOT_FOUND"},
		{[]string{"-U", "alice%secret", "-m", "NT1", "--option=client min protocol=NT1", "//127.0.0.1/pub"}, "NT_STATUS_"},
	} {
		out, err := ts.smbclient(t, c.args...)
		if !strings.Contains(out, c.want) {
			t.Errorf("%v: %v, want %s\n%s", c.args, err, c.want, out)
		}
	}
}
