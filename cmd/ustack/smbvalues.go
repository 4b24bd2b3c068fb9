package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ustack/smbproto"
	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// protocols are the names that smbclient has for the dialects.
var protocols = []struct {
	name    string
	dialect wire.Dialect
}{
	{"NT1", wire.DialectNT1},
	{"SMB2_02", wire.Dialect202},
	{"SMB2_10", wire.Dialect210},
	{"SMB3_00", wire.Dialect300},
	{"SMB3_02", wire.Dialect302},
	{"SMB3_11", wire.Dialect311},
}

// A protocol is a dialect that is given by such a name, in any case.
type protocol wire.Dialect

// UnmarshalText reads a name.
func (p *protocol) UnmarshalText(text []byte) error {
	var names []string
	for _, known := range protocols {
		if strings.EqualFold(known.name, string(text)) {
			*p = protocol(known.dialect)
			return nil
		}
		names = append(names, known.name)
	}
	return fmt.Errorf("%q: want one of %s", text, strings.Join(names, ", "))
}

// String is the name.
func (p protocol) String() string {
	for _, known := range protocols {
		if known.dialect == wire.Dialect(p) {
			return known.name
		}
	}
	return wire.Dialect(p).String()
}

// protocols are the bounds of the dialects.
func (c *serveSMBCmd) protocols() (from, to wire.Dialect, err error) {
	if c.MinProtocol > c.MaxProtocol {
		return 0, 0, fmt.Errorf("%s %v is above %s %v: no dialect is left", c.label("min-protocol"), c.MinProtocol, c.label("max-protocol"), c.MaxProtocol)
	}
	return wire.Dialect(c.MinProtocol), wire.Dialect(c.MaxProtocol), nil
}

func parseEncryption(label, s string) (smbproto.Encryption, error) {
	for _, e := range []smbproto.Encryption{smbproto.EncryptionOff, smbproto.EncryptionOffered, smbproto.EncryptionRequired} {
		if e.String() == s {
			return e, nil
		}
	}
	return 0, fmt.Errorf("%s %q: want off, offered or required", label, s)
}

// parseMachineSID reads the SID of a machine or a domain, MS-DTYP 2.4.2.4; "" is none.
func parseMachineSID(label, text string) (sd.SID, error) {
	if text == "" {
		return "", nil
	}
	s, err := sd.ParseSID(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", label, err)
	}
	if !strings.HasPrefix(s.String(), "S-1-5-21-") || strings.Count(s.String(), "-") != 6 {
		return "", fmt.Errorf("%s %s: want S-1-5-21 and three numbers behind it", label, text)
	}
	return s, nil
}

// maxNetBIOSName is the length of the longest NetBIOS name that a server or a domain can have, MS-NBTE 2.2.1: the 16th byte says what it is of.
const maxNetBIOSName = 15

// checkServerName takes "" too, which is this machine's.
func checkServerName(label, name string) error {
	if name == "" {
		return nil
	}
	return checkNetBIOSName(label, name)
}

// checkNetBIOSName refuses what is no NetBIOS name. One of blanks is none: by them names are filled up.
func checkNetBIOSName(label, name string) error {
	switch {
	case strings.Trim(name, " ") == "":
		return fmt.Errorf("%s %q: want a NetBIOS name, which is not empty", label, name)
	case len(name) > maxNetBIOSName:
		return fmt.Errorf("%s %q: a NetBIOS name has at most %d bytes", label, name, maxNetBIOSName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%s %q: a NetBIOS name has no control characters", label, name)
	}
	return nil
}

// parseShare reads NAME=PATH, with options behind it: NAME=PATH,ro,encrypt.
func parseShare(s string) (smbproto.Share, error) {
	const want = "want NAME=PATH, and behind it ,ro or ,encrypt or both"
	name, path, ok := strings.Cut(s, "=")
	if !ok || name == "" || path == "" {
		return smbproto.Share{}, fmt.Errorf("--share %q: %s", s, want)
	}
	var options []string
	for {
		i := strings.LastIndex(path, ",")
		if i < 0 || !slices.Contains([]string{"ro", "encrypt"}, path[i+1:]) {
			break
		}
		options = append(options, path[i+1:])
		path = path[:i]
	}
	if path == "" {
		return smbproto.Share{}, fmt.Errorf("--share %q: %s", s, want)
	}
	if i := strings.LastIndex(path, ","); i >= 0 && !strings.Contains(path[i:], "/") {
		if _, err := os.Stat(path); err != nil {
			return smbproto.Share{}, fmt.Errorf("--share %q: there is no %s, and %q is no option: %s", s, path, path[i+1:], want)
		}
	}
	return smbproto.Share{
		Name: name, Path: path, ReadOnly: slices.Contains(options, "ro"), Encrypt: slices.Contains(options, "encrypt"),
	}, nil
}
