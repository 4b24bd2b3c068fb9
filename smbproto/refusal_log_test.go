package smbproto

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

// What is logged of a guest says that he is one: a client that could encrypt and sign is no clue.
func TestALogSaysWhatAGuestLacks(t *testing.T) {
	var log bytes.Buffer
	guest := func(change func(*Config)) *peer {
		log.Reset()
		p := newPeer(t, func(c *Config) {
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			change(c)
		})
		p.want(p.negotiateMsg(0x0202, 0x0210), wire.StatusOK)
		p.session = wire.Header(p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)).SessionID()
		return p
	}
	logged := func(want string) {
		t.Helper()
		if !strings.Contains(log.String(), want) {
			t.Errorf("logged %q, want %q in it", log.String(), want)
		}
	}

	p := guest(func(c *Config) { c.RequireSigning = true })
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusAccessDenied)
	logged("guests have no key to sign or encrypt with")

	p = guest(func(c *Config) { c.Shares[0].Encrypt = true })
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusOK)
	logged("signing=none cipher=none signing_required=false encryption_required=false")
	p.want(p.treeMsg(`\\server\pub`), wire.StatusAccessDenied)
	logged("share refused: it must be encrypted, and guests have no key")
}

// Who is logged on is told with what protects his messages, if he or the server wants that.
func TestALogSaysByWhatALogOnIsProtected(t *testing.T) {
	for d, want := range map[wire.Dialect]string{
		wire.Dialect210: "dialect=2.1.0 signing=HMAC-SHA256 cipher=none",
		wire.Dialect300: "dialect=3.0.0 signing=AES-128-CMAC cipher=AES-128-CCM",
		wire.Dialect311: "dialect=3.1.1 signing=AES-128-CMAC cipher=AES-128-GCM",
	} {
		var log bytes.Buffer
		newMember(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, d).logOn("alice", "secret")
		if lines := log.String(); strings.Count(lines, "logged on") != 1 || !strings.Contains(lines, want) {
			t.Errorf("logged %q, want %q in it", lines, want)
		}
	}
}

func TestAnEncryptedShareIsRefusedForItsOwnCause(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"encryption is off":                       func(c *Config) { c.Encryption = EncryptionOff },
		"dialects up to 2.1.0 have no encryption": func(c *Config) { c.MaxDialect = wire.Dialect210 },
	} {
		cfg := testConfig(t.TempDir())
		cfg.Shares[0].Encrypt = true
		change(&cfg)
		if _, err := NewServer(cfg); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
