package auth_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/asn1"
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"ustack/smbproto/auth"
)

// client is an NTLMv2 client of its own: it shares nothing with the package
// but the hash of a password, which has known answers.
type client struct {
	user, domain, host, password string

	flags     uint32 // clientFlags unless set
	noMIC     bool   // leave out MsvAvFlags and the MIC
	noFlags   bool   // leave out those of the last message
	v1        bool   // answer with 24 bytes, as NTLMv1 does
	anonymous bool
	spoil     func(nt []byte) []byte // changes the NT response

	negotiate, challenge []byte
	key                  [16]byte // ExportedSessionKey
}

const (
	fUnicode   = 0x1
	fOEM       = 0x2
	fTarget    = 0x4
	fSign      = 0x10
	fSeal      = 0x20
	fNTLM      = 0x200
	fAnonymous = 0x800
	fAlways    = 0x8000
	fExtended  = 0x80000
	fInfo      = 0x800000
	fVersion   = 0x2000000
	f128       = 0x20000000
	fKeyExch   = 0x40000000
	f56        = 0x80000000

	allFlags = uint32(fUnicode | fTarget | fSign | fSeal | fNTLM | fAlways | fExtended | fVersion | f128 | fKeyExch | f56)
)

var le = binary.LittleEndian

func units(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return b
}

func mac5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

func crypt(key, text []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(text))
	c.XORKeyStream(out, text)
	return out
}

func (c *client) type1() []byte {
	if c.flags == 0 {
		c.flags = allFlags
	}
	b := append([]byte("NTLMSSP\x00"), 1, 0, 0, 0)
	b = le.AppendUint32(b, c.flags)
	c.negotiate = append(b, make([]byte, 24)...)
	return bytes.Clone(c.negotiate)
}

// avList splits a challenge's target info.
func avList(t testing.TB, challenge []byte) map[uint16][]byte {
	t.Helper()
	size, at := int(le.Uint16(challenge[40:])), int(le.Uint32(challenge[44:]))
	info, pairs := challenge[at:at+size], map[uint16][]byte{}
	for {
		id, n := le.Uint16(info), int(le.Uint16(info[2:]))
		pairs[id] = info[4 : 4+n]
		info = info[4+n:]
		if id == 0 {
			break
		}
	}
	if len(info) != 0 {
		t.Fatalf("%d bytes after MsvAvEOL", len(info))
	}
	return pairs
}

func (c *client) type3(t testing.TB, challenge []byte) []byte {
	t.Helper()
	c.challenge = bytes.Clone(challenge)
	var lm, nt, base []byte
	if c.anonymous {
		lm, base = []byte{0}, make([]byte, 16)
	} else {
		nt, base = c.respond(t, challenge)
		if c.spoil != nil {
			nt = c.spoil(nt)
		}
		lm = make([]byte, 24)
	}
	flags := c.flags & le.Uint32(challenge[20:])
	var sealed []byte
	copy(c.key[:], base)
	if flags&fKeyExch != 0 {
		copy(c.key[:], "a random session")
		sealed = crypt(base, c.key[:])
	}
	name := units
	if le.Uint32(challenge[20:])&fUnicode == 0 {
		name = func(s string) []byte { return []byte(s) }
	}
	b := make([]byte, 88)
	copy(b, "NTLMSSP\x00\x03")
	if !c.noFlags {
		le.PutUint32(b[60:], flags)
	}
	for i, f := range [][]byte{lm, nt, name(c.domain), name(c.user), name(c.host), sealed} {
		at := 12 + 8*i
		le.PutUint16(b[at:], uint16(len(f)))
		le.PutUint16(b[at+2:], uint16(len(f)))
		le.PutUint32(b[at+4:], uint32(len(b)))
		b = append(b, f...)
	}
	if !c.noMIC && !c.anonymous {
		copy(b[72:], mac5(c.key[:], c.negotiate, c.challenge, b))
	}
	return b
}

// respond makes the NT response and the session base key.
func (c *client) respond(t testing.TB, challenge []byte) (nt, base []byte) {
	t.Helper()
	if c.v1 {
		return bytes.Repeat([]byte{7}, 24), make([]byte, 16)
	}
	pairs := avList(t, challenge)
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, pairs[7]...)
	blob = append(blob, "nonce678\x00\x00\x00\x00"...)
	for _, id := range []uint16{1, 2, 3, 7} {
		blob = le.AppendUint16(blob, id)
		blob = le.AppendUint16(blob, uint16(len(pairs[id])))
		blob = append(blob, pairs[id]...)
	}
	if !c.noMIC {
		blob = append(blob, 6, 0, 4, 0, 2, 0, 0, 0)
	}
	blob = append(blob, make([]byte, 8)...)
	hash := auth.NTHash(c.password)
	key := mac5(hash[:], units(strings.ToUpper(c.user)), units(c.domain))
	proof := mac5(key, challenge[24:32], blob)
	return append(proof, blob...), mac5(key, proof)
}

// sum is the first message's signature in one direction ("client-to-server").
func (c *client) sum(direction string, message []byte) []byte {
	flags := c.flags
	weak := c.key[:5]
	if flags&f128 != 0 {
		weak = c.key[:]
	} else if flags&f56 != 0 {
		weak = c.key[:7]
	}
	signing := md5.Sum([]byte(string(c.key[:]) + "session key to " + direction + " signing key magic constant\x00"))
	sealing := md5.Sum([]byte(string(weak) + "session key to " + direction + " sealing key magic constant\x00"))
	checksum := mac5(signing[:], make([]byte, 4), message)[:8]
	if flags&fKeyExch != 0 {
		checksum = crypt(sealing[:], checksum)
	}
	return bytes.Join([][]byte{{1, 0, 0, 0}, checksum, {0, 0, 0, 0}}, nil)
}

var (
	oidNTLM   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
	oidKrb5   = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	oidSPNEGO = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
)

type spnegoInit struct {
	Mechs []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	Token []byte                  `asn1:"explicit,optional,omitempty,tag:2"`
}

type spnegoResp struct {
	State asn1.Enumerated       `asn1:"explicit,optional,default:-1,tag:0"`
	Mech  asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	Token []byte                `asn1:"explicit,optional,omitempty,tag:2"`
	MIC   []byte                `asn1:"explicit,optional,omitempty,tag:3"`
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wrap(t testing.TB, class, tag int, inner ...[]byte) []byte {
	t.Helper()
	return marshal(t, asn1.RawValue{Class: class, Tag: tag, IsCompound: true, Bytes: bytes.Join(inner, nil)})
}

func initToken(t testing.TB, token []byte, mechs ...asn1.ObjectIdentifier) []byte {
	t.Helper()
	return wrap(t, asn1.ClassApplication, 0, marshal(t, oidSPNEGO),
		wrap(t, asn1.ClassContextSpecific, 0, marshal(t, spnegoInit{mechs, token})))
}

func respToken(t testing.TB, token, mic []byte) []byte {
	t.Helper()
	return wrap(t, asn1.ClassContextSpecific, 1, marshal(t, spnegoResp{State: -1, Token: token, MIC: mic}))
}

func parseResp(t testing.TB, b []byte) (r spnegoResp) {
	t.Helper()
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(b, &outer); err != nil || len(rest) != 0 || outer.Tag != 1 {
		t.Fatalf("NegTokenResp % x: %v, %d bytes left", b, err, len(rest))
	}
	if rest, err := asn1.Unmarshal(outer.Bytes, &r); err != nil || len(rest) != 0 {
		t.Fatalf("NegTokenResp % x: %v, %d bytes left", b, err, len(rest))
	}
	return r
}

type users map[string]string

func (u users) Lookup(name string) ([16]byte, bool) {
	password, ok := u[strings.ToLower(name)]
	return auth.NTHash(password), ok
}

var clock = time.Date(2026, 3, 1, 12, 0, 0, 700, time.UTC)

// config has the account alice, password "secret", and no randomness but what is given.
func config(guest bool, random string) auth.Config {
	return auth.Config{
		Users: users{"alice": "secret", "žofie": "heslo€"}, Guest: guest,
		ServerName: "FILES", Domain: "LAB",
		Now: func() time.Time { return clock }, Rand: strings.NewReader(random),
	}
}
