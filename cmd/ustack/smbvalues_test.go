package main

import (
	"reflect"
	"strings"
	"testing"

	"ustack/smbproto"
	"ustack/smbproto/wire"
)

func TestProtocolsAreBounded(t *testing.T) {
	for _, c := range []struct {
		least, greatest string
		from, to        wire.Dialect
		err             string
	}{
		{"SMB2_02", "SMB3_11", wire.Dialect202, wire.Dialect311, ""},
		{"smb3_00", "SMB3_02", wire.Dialect300, wire.Dialect302, ""},
		{"SMB2_10", "SMB2_10", wire.Dialect210, wire.Dialect210, ""},
		{"NT1", "SMB3_11", wire.DialectNT1, wire.Dialect311, ""},
		{"nt1", "NT1", wire.DialectNT1, wire.DialectNT1, ""},
		{"SMB3_11", "SMB3_00", 0, 0, "--min-protocol SMB3_11 is above --max-protocol SMB3_00"},
		{"SMB2_02", "nt1", 0, 0, "--min-protocol SMB2_02 is above --max-protocol NT1"},
	} {
		var bounds serveSMBCmd
		for _, v := range []struct {
			to   *protocol
			name string
		}{{&bounds.MinProtocol, c.least}, {&bounds.MaxProtocol, c.greatest}} {
			if err := v.to.UnmarshalText([]byte(v.name)); err != nil || !strings.EqualFold(v.to.String(), v.name) {
				t.Errorf("%s: %v, %v", v.name, v.to, err)
			}
		}
		from, to, err := bounds.protocols()
		if from != c.from || to != c.to || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s to %s: %v to %v, %v", c.least, c.greatest, from, to, err)
		}
	}
}

func TestEncryptionValues(t *testing.T) {
	for s, want := range map[string]smbproto.Encryption{
		"off": smbproto.EncryptionOff, "offered": smbproto.EncryptionOffered, "required": smbproto.EncryptionRequired,
	} {
		if e, err := parseEncryption("--encrypt", s); err != nil || e != want {
			t.Errorf("%s: %v, %v", s, e, err)
		}
	}
	if _, err := parseEncryption("--encrypt", "yes"); err == nil || !strings.Contains(err.Error(), "off, offered or required") {
		t.Errorf("yes: %v", err)
	}
}

func TestAMachineSIDIsOneOfAMachine(t *testing.T) {
	for text, ok := range map[string]bool{
		"":                         true,
		"S-1-5-21-1-2-3":           true,
		"S-1-5-21-4294967295-0-0":  true,
		"S-1-5-21-1-2":             false,
		"S-1-5-21-1-2-3-500":       false,
		"S-1-5-32":                 false,
		"S-1-5-22-1-2-3":           false,
		"S-1-1-0":                  false,
		"S-1-6-21-1-2-3":           false,
		"S-1-5-21-1-2-4294967296":  false,
		"FILES":                    false,
		"S-1-5-21-1-2-3-4-5-6-7-8": false,
		"S-1-5-210-1-2-3":          false,
		"S-1-0x500000000-21-1-2-3": false,
		"S-1-5-21-1-2-3 ":          false,
		"s-1-5-21-1-2-3":           false,
	} {
		s, err := parseMachineSID("--machine-sid", text)
		if (err == nil) != ok || ok && text != "" && s.String() != text {
			t.Errorf("%q: %v, %v", text, s, err)
		}
		if err != nil && !strings.Contains(err.Error(), "--machine-sid") {
			t.Errorf("%q: %v does not name the flag", text, err)
		}
	}
}

func TestNetBIOSNamesAreBounded(t *testing.T) {
	for name, want := range map[string]string{
		"A":                "",
		"FIFTEENLETTERSX":  "",
		"two words":        "",
		"":                 "not empty",
		"   ":              "not empty",
		"SIXTEENLETTERSIN": "at most 15 bytes",
		"ÄÄÄÄÄÄÄÄ":         "at most 15 bytes",
		"WORK\x00GROUP":    "control",
		"WORKGROUP\n":      "control",
		"WORK\x7f":         "control",
		"WORK\xff":         "control",
	} {
		err := checkNetBIOSName("--workgroup", name)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--workgroup ")) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestShareOptions(t *testing.T) {
	for s, want := range map[string]smbproto.Share{
		"a=/x":               {Name: "a", Path: "/x"},
		"a=/x,ro":            {Name: "a", Path: "/x", ReadOnly: true},
		"a=/x,encrypt":       {Name: "a", Path: "/x", Encrypt: true},
		"a=/x,ro,encrypt":    {Name: "a", Path: "/x", ReadOnly: true, Encrypt: true},
		"a=/x,encrypt,ro":    {Name: "a", Path: "/x", ReadOnly: true, Encrypt: true},
		"a=/x,y/b=c,ro":      {Name: "a", Path: "/x,y/b=c", ReadOnly: true},
		"a=relative,encrypt": {Name: "a", Path: "relative", Encrypt: true},
		"a=/no,such":         {},
		"a=/no,such,ro":      {},
		"a=,ro":              {},
		"a=":                 {},
		"=/x":                {},
		"/x":                 {},
	} {
		got, err := parseShare(s)
		if !reflect.DeepEqual(got, want) || (err == nil) == (want.Name == "") {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
}
