package smbproto

import (
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

func allowSMB1(c *Config) { c.MinDialect = wire.DialectNT1 }

// asAliceOfSMB1 are the arguments of a smbclient that speaks SMB1 only.
func asAliceOfSMB1(more ...string) []string { return asAlice("NT1", more...) }

const noExtendedSecurity = "--option=client use spnego=no"

func TestSmbclientDoesItsWorkInSMB1(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"plain", asAliceOfSMB1("--option=client signing=off")},
		{"signed", asAliceOfSMB1("--client-protection=sign")},
		{"without extended security", asAliceOfSMB1(noExtendedSecurity, "--option=client signing=off")},
		{"without extended security, signed", asAliceOfSMB1(noExtendedSecurity, "--client-protection=sign")},
		{"guest", []string{"-N", "-m", "NT1", "--option=client min protocol=NT1"}},
		{"without Unicode", asAliceOfSMB1("--option=unicode=no")},
	} {
		t.Run(c.name, func(t *testing.T) {
			worksWith(t, startServer(t, allowSMB1), c.args)
		})
	}
}

func TestSmbclientOfSMB1IsRefusedWhereItMustBe(t *testing.T) {
	off := startServer(t, nil)
	sign := startServer(t, func(c *Config) { allowSMB1(c); c.RequireSigning = true })
	on := startServer(t, func(c *Config) { allowSMB1(c); c.Auth.Guest = false })
	for _, c := range []struct {
		ts   *testServer
		args []string
		want string
	}{
		{off, asAliceOfSMB1("//127.0.0.1/pub"), "NT_STATUS_"},
		{sign, []string{"-N", "-m", "NT1", "--option=client min protocol=NT1", "//127.0.0.1/pub"}, "NT_STATUS_ACCESS_DENIED"},
		{on, []string{"-U", "alice%wrong", "-m", "NT1", "--option=client min protocol=NT1", "//127.0.0.1/pub"}, "NT_STATUS_LOGON_FAILURE"},
		{on, []string{"-U", "alice%wrong", "-m", "NT1", "--option=client min protocol=NT1", noExtendedSecurity, "//127.0.0.1/pub"}, "NT_STATUS_LOGON_FAILURE"},
		{on, asAliceOfSMB1("//127.0.0.1/nothere"), "NT_STATUS_BAD_NETWORK_NAME"},
		{on, asAliceOfSMB1("//127.0.0.1/ro", "-c", "mkdir x"), "NT_STATUS_"},
		{on, asAliceOfSMB1("//127.0.0.1/pub", "-c", "get missing"), "NT_STATUS_OBJECT_NAME_NOT_FOUND"},
		{on, asAliceOfSMB1("//127.0.0.1/pub", "-c", "get no/missing"), "NT_STATUS_OBJECT_PATH_NOT_FOUND"},
	} {
		if out, err := c.ts.smbclient(t, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("%v: %v, want %s\n%s", c.args, err, c.want, out)
		}
	}
	if out, err := sign.smbclient(t, asAliceOfSMB1("--client-protection=sign", "//127.0.0.1/pub", "-c", "ls")...); err != nil {
		t.Errorf("signed as it must be: %v\n%s", err, out)
	}
}

func TestSmbclientListsSharesInSMB1(t *testing.T) {
	ts := startServer(t, allowSMB1)
	out, err := ts.smbclient(t, asAliceOfSMB1("-L", "127.0.0.1")...)
	if err != nil || !strings.Contains(out, "pub ") || !strings.Contains(out, "files") || !strings.Contains(out, "IPC$") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSmbclientAsksForMoreInSMB1(t *testing.T) {
	asksForMore(t, startServer(t, allowSMB1), asAliceOfSMB1())
}
