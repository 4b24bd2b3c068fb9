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
	logged("signing_required=false encryption_required=false")
	p.want(p.treeMsg(`\\server\pub`), wire.StatusAccessDenied)
	logged("share refused: it must be encrypted, and guests have no key")
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
