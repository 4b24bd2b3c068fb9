package auth

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNTHashKnownAnswers(t *testing.T) {
	for password, want := range map[string]string{
		"":         "31d6cfe0d16ae931b73c59d7e0c089c0", // MD4 of nothing, RFC 1320 A.5
		"Password": "a4f49c406510bdcab6824ee7c30fd852", // MS-NLMP 4.2.2.1.2
		"password": "8846f7eaee8fb117ad06bdd830b7586c",
	} {
		if got := NTHash(password); hex.EncodeToString(got[:]) != want {
			t.Errorf("NTHash(%q) = %x, want %s", password, got, want)
		}
	}
}

// The messages of MS-NLMP 4.2.4.3: User, Domain, COMPUTER, Password, server challenge
// 0123456789abcdef, client challenge aa.., time 0, random session key 55...
const (
	specChallenge = `4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef
		0000000000000000240024004400000006007017000000 0f
		530065007200760065007200
		02000c0044006f006d00610069006e0001000c00530065007200760065007200 00000000`
	specAuthenticate = `4e544c4d5353500003000000180018006c00000054005400840000000c000c00
		480000000800080054000000100010005c00000010001000d8000000358288e2
		0501280a0000000f44006f006d00610069006e00550073006500720043004f004d0050005500540045005200
		86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa
		68cd0ab851e51c96aabc927bebef6a1c
		01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000
		02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000
		c5dad2544fc979909 4ce1ce90bc9d03e`
)

func TestSpecificationsNTLMv2Exchange(t *testing.T) {
	m, err := parseAuthenticate(unhex(t, specAuthenticate), flagUnicode)
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string][2]string{
		"user": {fromUTF16(m.user), "User"}, "domain": {fromUTF16(m.domain), "Domain"}, "host": {fromUTF16(m.host), "COMPUTER"},
	} {
		if s[0] != s[1] {
			t.Errorf("%s %q, want %q", what, s[0], s[1])
		}
	}
	hash := NTHash("Password")
	key := ntowfv2(hash, m.user, m.domain)
	if want := unhex(t, "0c868a403bfd7a93a3001ef22ef02e3f"); !bytes.Equal(key[:], want) { // 4.2.4.1.1
		t.Errorf("NTOWFv2 = %x, want %x", key, want)
	}
	challenge := [8]byte(unhex(t, specChallenge)[24:32])
	p, err := m.prove(hash, challenge)
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "8de40ccadbc14a82f15cb0ad0de95ca3"); !bytes.Equal(p.baseKey[:], want) { // 4.2.4.1.2
		t.Errorf("SessionBaseKey = %x, want %x", p.baseKey, want)
	}
	if p.hasMIC {
		t.Error("a MIC is seen where there is none")
	}
	exported, err := m.exportedKey(p.baseKey, m.flags)
	if err != nil {
		t.Fatal(err)
	}
	if want := bytes.Repeat([]byte{0x55}, 16); !bytes.Equal(exported[:], want) { // 4.2.4.2.3
		t.Errorf("ExportedSessionKey = %x, want %x", exported, want)
	}
	if _, err := m.prove(NTHash("password"), challenge); err == nil {
		t.Error("another password is accepted")
	}
}

// GSS_Wrap of "Plaintext", MS-NLMP 4.2.4.4: the text is sealed first, then the checksum.
func TestSpecificationsSignature(t *testing.T) {
	exported := [16]byte(bytes.Repeat([]byte{0x55}, 16))
	const flags = 0xe28a8233
	if got, want := sealKey(exported, flags, clientSealing), unhex(t, "59f600973cc4960a25480a7c196e4c58"); !bytes.Equal(got[:], want) {
		t.Errorf("sealing key %x, want %x", got, want)
	}
	s := newSecurity(exported, flags, clientSigning, clientSealing)
	if want := unhex(t, "4788dc861b4782f35d43fd98fe1a2d39"); !bytes.Equal(s.signing[:], want) {
		t.Errorf("signing key %x, want %x", s.signing, want)
	}
	text := utf16le("Plaintext")
	sealed := make([]byte, len(text))
	s.sealing.XORKeyStream(sealed, text)
	if want := unhex(t, "54e50165bf1936dc996020c1811b0f06fb5f"); !bytes.Equal(sealed, want) {
		t.Errorf("sealed text %x, want %x", sealed, want)
	}
	if got, want := s.sum(text), unhex(t, "010000007fb38ec5c55d497600000000"); !bytes.Equal(got[:], want) {
		t.Errorf("signature %x, want %x", got, want)
	}
}

func TestUpperCaseKeepsTheLengthOfAName(t *testing.T) {
	for in, want := range map[string]string{
		"user": "USER", "straße": "STRAßE", "žofie": "ŽOFIE", "\U00010428": "\U00010428",
	} {
		if got := fromUTF16(upperUTF16(utf16le(in))); got != want {
			t.Errorf("%q in upper case is %q, want %q", in, got, want)
		}
	}
}

func TestMalformedAVPairsAreRefused(t *testing.T) {
	for name, list := range map[string]string{
		"cut in its head":     "0600 04",
		"cut in its value":    "0600 0400 0200",
		"flags of two bytes":  "0600 0200 0200 0000 0000",
		"huge":                "0700 ffff 00",
		"cut after good ones": "0100 0200 4100 06",
	} {
		if _, err := clientFlags(unhex(t, list)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if flags, err := clientFlags(unhex(t, "0600 0400 02000000 0600 0400 00000000 0000 0000 ff")); err != nil || flags != avFlagMIC {
		t.Errorf("flags %x, %v; want the first MsvAvFlags to count", flags, err)
	}
}
