package smbproto

import (
	"strings"
	"testing"

	smb2 "github.com/cloudsoda/go-smb2"

	"ustack/smbproto/wire"
)

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
