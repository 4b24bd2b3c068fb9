package smbproto

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	smb2 "github.com/cloudsoda/go-smb2"

	"ustack/smbproto/wire"
)

// asAlice are the arguments of a smbclient that speaks one dialect only.
func asAlice(dialect string, more ...string) []string {
	return append([]string{"-U", "alice%secret", "-m", dialect, "--option=client min protocol=" + dialect}, more...)
}

const encrypt = "--client-protection=encrypt"

func TestSmbclientEncrypts(t *testing.T) {
	type how struct {
		name string
		args []string
	}
	cases := []how{{"SMB3_00", asAlice("SMB3_00", encrypt)}, {"SMB3_02", asAlice("SMB3_02", encrypt)}, {"SMB3_11", asAlice("SMB3_11", encrypt)}}
	for _, cipher := range []string{"AES-128-GCM", "AES-256-GCM", "AES-128-CCM", "AES-256-CCM"} {
		cases = append(cases, how{cipher, asAlice("SMB3_11", encrypt, "--option=client smb3 encryption algorithms="+cipher)})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ts := startServer(t, nil)
			path, content := randomFile(t, 3<<20+123)
			back := filepath.Join(t.TempDir(), "back")
			out, err := ts.smbclient(t, append(c.args, "//127.0.0.1/pub", "-c",
				"mkdir dir; cd dir; put "+path+" a.bin; ls; rename a.bin b.bin; allinfo b.bin; get b.bin "+back+"; du; del b.bin; cd ..; rmdir dir")...)
			if err != nil || strings.Contains(out, "NT_STATUS") {
				t.Fatalf("%v\n%s", err, out)
			}
			got, err := os.ReadFile(back)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("what came back is not what was put: %v, %d bytes", err, len(got))
			}
		})
	}
}

// Where encryption is required, of the session or the share, clients that can't are
// refused, and those that can do without being told to.
func TestWhereEncryptionIsRequired(t *testing.T) {
	for name, ts := range map[string]*testServer{
		"server": startServer(t, func(c *Config) { c.Encryption = EncryptionRequired }),
		"share":  startServer(t, func(c *Config) { c.Shares[0].Encrypt = true }),
	} {
		for _, c := range []struct {
			args []string
			in   bool
		}{
			{asAlice("SMB3_11"), true},
			{asAlice("SMB3_00"), true},
			{asAlice("SMB3_11", encrypt), true},
			{asAlice("SMB2_10"), false},
			{asAlice("SMB2_02", "--client-protection=sign"), false},
			{[]string{"-N"}, false},
		} {
			out, err := ts.smbclient(t, append(c.args, "//127.0.0.1/pub", "-c", "mkdir d; rmdir d; ls")...)
			if in := err == nil && strings.Contains(out, "blocks available"); in != c.in || !in && !strings.Contains(out, "NT_STATUS_ACCESS_DENIED") {
				t.Errorf("%s, %v: in %v, want %v: %v\n%s", name, c.args, in, c.in, err, out)
			}
		}
		for _, n := range []smb2.Negotiator{{}, {SpecifiedDialect: 0x300}, {SpecifiedDialect: 0x302}, {SpecifiedDialect: 0x311}} {
			fs := ts.mount(t, "pub", n)
			goClientWorks(t, ts, fs)
		}
	}
}

func TestSmbclientCannotEncryptWhereItIsOff(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.Encryption = EncryptionOff })
	for _, dialect := range []string{"SMB3_00", "SMB3_11"} {
		if out, err := ts.smbclient(t, asAlice(dialect, encrypt, "//127.0.0.1/pub", "-c", "ls")...); err == nil {
			t.Errorf("%s: encrypts\n%s", dialect, out)
		}
		if out, err := ts.smbclient(t, asAlice(dialect, "//127.0.0.1/pub", "-c", "ls")...); err != nil {
			t.Errorf("%s: %v\n%s", dialect, err, out)
		}
	}
}

func TestDialectsAreBounded(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MinDialect, c.MaxDialect = wire.Dialect210, wire.Dialect302 })
	for dialect, in := range map[string]bool{"SMB2_02": false, "SMB2_10": true, "SMB3_00": true, "SMB3_02": true, "SMB3_11": false} {
		out, err := ts.smbclient(t, asAlice(dialect, "//127.0.0.1/pub", "-c", "ls")...)
		if (err == nil) != in {
			t.Errorf("%s: %v, want in %v\n%s", dialect, err, in, out)
		}
	}
}
