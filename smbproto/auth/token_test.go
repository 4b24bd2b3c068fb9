package auth_test

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ustack/smbproto/auth"
)

// wantSentinel fails unless err wraps one of the three reasons.
func wantSentinel(t testing.TB, err error) {
	t.Helper()
	for _, s := range []error{auth.ErrLogonFailure, auth.ErrMalformed, auth.ErrUnsupported} {
		if errors.Is(err, s) {
			return
		}
	}
	t.Errorf("error %v wraps no sentinel", err)
}

func TestTokensCutShortAreRefusedAtEveryLength(t *testing.T) {
	c := client{user: "alice", domain: "LAB", host: "PC", password: "secret"}
	first := initToken(t, c.type1(), oidKrb5, oidNTLM)
	for n := range first {
		_, _, err := newExchange(true).Step(first[:n])
		wantSentinel(t, err)
	}
	for n := range 16 { // a NEGOTIATE_MESSAGE may end after its flags
		_, _, err := newExchange(true).Step(c.type1()[:n])
		wantSentinel(t, err)
	}
	last := c.type3(t, step(t, newExchange(true), c.type1()))
	for n := range last {
		e := newExchange(true)
		step(t, e, c.type1())
		_, _, err := e.Step(last[:n])
		wantSentinel(t, err)
	}
	wrapped := respToken(t, last, make([]byte, 16))
	for n := range wrapped {
		e := newExchange(true)
		step(t, e, initToken(t, c.type1(), oidNTLM))
		_, _, err := e.Step(wrapped[:n])
		wantSentinel(t, err)
	}
}

func TestBadFirstTokensSayWhatIsWrong(t *testing.T) {
	c := client{}
	with := func(b []byte, at int, v ...byte) []byte { b = bytes.Clone(b); copy(b[at:], v); return b }
	flags := func(f uint32) []byte { return (&client{flags: f}).type1() }
	for name, tc := range map[string]struct {
		token []byte
		want  error
		text  string
	}{
		"empty":                {nil, auth.ErrMalformed, "0 bytes"},
		"too large":            {make([]byte, auth.MaxToken+1), auth.ErrMalformed, "at most 65536"},
		"not SPNEGO's OID":     {with(initToken(t, nil, oidNTLM), 4, 0x2a), auth.ErrUnsupported, "want SPNEGO"},
		"only Kerberos":        {initToken(t, nil, oidKrb5), auth.ErrUnsupported, "NTLMSSP"},
		"no mechanisms":        {initToken(t, nil), auth.ErrUnsupported, "NTLMSSP"},
		"too many mechanisms":  {initToken(t, nil, make33()...), auth.ErrMalformed, "more than 32"},
		"long mechanisms":      {initToken(t, nil, oidNTLM, append(asn1.ObjectIdentifier{1, 2}, make([]int, 3000)...)), auth.ErrMalformed, "at most 2048"},
		"long NEGOTIATE":       {append(c.type1(), make([]byte, 2048)...), auth.ErrMalformed, "at most 2048"},
		"bytes behind":         {append(initToken(t, nil, oidNTLM), 0), auth.ErrMalformed, "1 bytes after"},
		"indefinite length":    {[]byte{0x60, 0x80, 0, 0}, auth.ErrMalformed, "length in 0 bytes"},
		"length of five bytes": {[]byte{0x60, 0x85, 0, 0, 0, 0, 0}, auth.ErrMalformed, "length in 5 bytes"},
		"huge length":          {[]byte{0x60, 0x84, 255, 255, 255, 255}, auth.ErrMalformed, "4294967295"},
		"NegTokenResp":         {respToken(t, c.type1(), nil), auth.ErrMalformed, "0xa1"},
		"AUTHENTICATE first":   {with(c.type1(), 8, 3), auth.ErrMalformed, "type 3, want 1"},
		"no strings":           {flags(allFlags &^ fUnicode), auth.ErrUnsupported, "0x00000001"},
		"no NTLM":              {flags(allFlags &^ fNTLM), auth.ErrUnsupported, "0x00000200"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExchange(true)
			_, done, err := e.Step(tc.token)
			if done || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("done %v, error %v; want %v with %q", done, err, tc.want, tc.text)
			}
			if _, _, err := e.Step(c.type1()); !errors.Is(err, auth.ErrMalformed) {
				t.Errorf("a token after the failure: %v, want ErrMalformed", err)
			}
		})
	}
}

func make33() (list []asn1.ObjectIdentifier) {
	for range 33 {
		list = append(list, oidKrb5)
	}
	return list
}

func TestClientThatGivesUpIsALogonFailure(t *testing.T) {
	e := newExchange(true)
	step(t, e, initToken(t, new(client).type1(), oidNTLM))
	_, _, err := e.Step(wrap(t, asn1.ClassContextSpecific, 1, marshal(t, spnegoResp{State: 2})))
	if !errors.Is(err, auth.ErrLogonFailure) {
		t.Fatalf("got %v, want ErrLogonFailure", err)
	}
}

func TestChallengeNamesTheServerAndTheTime(t *testing.T) {
	challenge := step(t, newExchange(false), new(client).type1())
	if got := challenge[24:32]; string(got) != "8 random" {
		t.Errorf("server challenge %q, want what Rand gave", got)
	}
	const to1970 = 116444736000000000
	stamp := le.AppendUint64(nil, uint64(clock.UnixNano()/100+to1970))
	want := map[uint16][]byte{0: {}, 1: units("FILES"), 2: units("LAB"), 3: units("files"), 7: stamp}
	if diff := cmp.Diff(want, avList(t, challenge)); diff != "" {
		t.Error(diff)
	}
	size, at := int(le.Uint16(challenge[12:])), int(le.Uint32(challenge[16:]))
	if name := challenge[at : at+size]; !bytes.Equal(name, units("FILES")) {
		t.Errorf("target name % x", name)
	}
	if flags := le.Uint32(challenge[20:]); flags != allFlags|fInfo|0x20000 {
		t.Errorf("flags 0x%08x", flags)
	}
}

func TestAClientWithoutUnicodeIsToldTheServersNameInASCII(t *testing.T) {
	cfg := config(false, "8 random")
	cfg.ServerName = "ŽIŽKOV"
	challenge := step(t, auth.NewExchange(cfg), (&client{flags: allFlags&^fUnicode | fOEM}).type1())
	size, at := int(le.Uint16(challenge[12:])), int(le.Uint32(challenge[16:]))
	if name := challenge[at : at+size]; string(name) != "?I?KOV" {
		t.Errorf("target name %q", name)
	}
	if flags := le.Uint32(challenge[20:]); flags != allFlags&^fUnicode|fOEM|fInfo|0x20000 {
		t.Errorf("flags 0x%08x", flags)
	}
	if name := avList(t, challenge)[1]; !bytes.Equal(name, units("ŽIŽKOV")) { // MS-NLMP 2.2.2.1: always Unicode
		t.Errorf("MsvAvNbComputerName % x", name)
	}
}

func TestANameInSomeCodePageIsNotGuessed(t *testing.T) {
	for user, want := range map[string]error{"žofie": auth.ErrUnsupported, strings.Repeat("ž", 200): auth.ErrMalformed} {
		c, e := client{user: user, password: "heslo€", flags: allFlags&^fUnicode | fOEM}, newExchange(true)
		if err := rawLogon(t, e, &c); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestFailingRandomnessFailsTheExchange(t *testing.T) {
	e := auth.NewExchange(config(true, "short"))
	if _, _, err := e.Step(new(client).type1()); err == nil || errors.Is(err, auth.ErrLogonFailure) {
		t.Fatalf("got %v, want an error that is no logon failure", err)
	}
}

func TestDefaultsMakeAWorkingExchange(t *testing.T) {
	e := auth.NewExchange(auth.Config{Users: users{"alice": "secret"}})
	if err := rawLogon(t, e, &client{user: "alice", password: "secret"}); err != nil {
		t.Fatal(err)
	}
}

func TestStepKeepsNothingOfItsToken(t *testing.T) {
	c, e := client{user: "alice", host: "PC", password: "secret"}, newExchange(false)
	first := c.type1()
	challenge := step(t, e, first)
	clear(first)
	last := c.type3(t, challenge)
	clear(challenge)
	if _, done, err := e.Step(last); err != nil || !done {
		t.Fatalf("done %v, %v", done, err)
	}
	clear(last)
	if id := e.Identity(); id.User != "alice" || id.Workstation != "PC" {
		t.Errorf("identity %+v", id)
	}
}

func TestOfferIsANegTokenInit2ForNTLMSSP(t *testing.T) {
	var app, choice asn1.RawValue
	var oid asn1.ObjectIdentifier
	rest, err := asn1.UnmarshalWithParams(new(auth.Config).Offer(), &app, "")
	if err != nil || len(rest) != 0 || app.Class != asn1.ClassApplication || app.Tag != 0 {
		t.Fatalf("%+v, %d bytes left, %v", app, len(rest), err)
	}
	if rest, err = asn1.Unmarshal(app.Bytes, &oid); err != nil || !oid.Equal(oidSPNEGO) {
		t.Fatalf("mechanism %v, %v", oid, err)
	}
	if rest, err = asn1.Unmarshal(rest, &choice); err != nil || len(rest) != 0 || choice.Tag != 0 {
		t.Fatalf("NegTokenInit2 with tag %d, %d bytes left, %v", choice.Tag, len(rest), err)
	}
	var got struct {
		Mechs []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
		Hints struct {
			Name asn1.RawValue `asn1:"explicit,tag:0"`
		} `asn1:"explicit,tag:3"`
	}
	if rest, err = asn1.Unmarshal(choice.Bytes, &got); err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	if len(got.Mechs) != 1 || !got.Mechs[0].Equal(oidNTLM) {
		t.Errorf("mechanisms %v", got.Mechs)
	}
	if hint := got.Hints.Name.Bytes; string(hint) != "\x1b\x24not_defined_in_RFC4178@please_ignore" {
		t.Errorf("hint %q, want the GeneralString", hint)
	}
}

func FuzzExchangeStep(f *testing.F) {
	c := client{user: "alice", domain: "LAB", host: "PC", password: "secret"}
	e := newExchange(false)
	last := c.type3(f, step(f, e, c.type1()))
	guest := client{user: "guest"}
	lastGuest := guest.type3(f, step(f, newExchange(true), guest.type1()))
	f.Add(c.type1(), last, []byte{})
	f.Add(initToken(f, c.type1(), oidNTLM), respToken(f, last, make([]byte, 16)), []byte{})
	f.Add(initToken(f, nil, oidKrb5, oidNTLM), respToken(f, guest.type1(), nil), respToken(f, lastGuest, nil))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		e := newExchange(true)
		for _, token := range [][]byte{one, two, three} {
			_, done, err := e.Step(token)
			if err != nil {
				wantSentinel(t, err)
				if done {
					t.Error("done with an error")
				}
			}
			id := e.Identity()
			if !done {
				continue
			}
			if id.Guest && !id.Anonymous && id.SessionKey != [16]byte{} {
				t.Errorf("guest with a session key: %+v", id)
			}
			if !id.Guest && !strings.EqualFold(id.User, "alice") {
				t.Errorf("user without an account: %+v", id)
			}
		}
	})
}

// BenchmarkLogon is a whole raw exchange, for what a flood of logons costs.
func BenchmarkLogon(b *testing.B) {
	b.ReportAllocs()
	cfg := config(false, "")
	cfg.Now = time.Now
	for b.Loop() {
		cfg.Rand = strings.NewReader("8 random")
		c := client{user: "alice", password: "secret"}
		if err := rawLogon(b, auth.NewExchange(cfg), &c); err != nil {
			b.Fatal(err)
		}
	}
}
