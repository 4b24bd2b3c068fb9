package auth

import "bytes"

// Object identifiers, encoded without tag and length.
var (
	oidSPNEGO  = []byte{0x2b, 0x06, 0x01, 0x05, 0x05, 0x02}                         // 1.3.6.1.5.5.2, RFC 4178 3
	oidNTLMSSP = []byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a} // 1.3.6.1.4.1.311.2.2.10, MS-SPNG 1.9
)

// Kerberos has two: Windows once encoded its own wrongly, and all clients of SMB say both (MS-SPNG 1.9, RFC 4121 1.1).
var (
	oidKerberos   = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02} // 1.2.840.113554.1.2.2
	oidMSKerberos = []byte{0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02} // 1.2.840.48018.1.2.2
)

func isKerberos(oid []byte) bool {
	return bytes.Equal(oid, oidKerberos) || bytes.Equal(oid, oidMSKerberos)
}

// negState of a NegTokenResp, RFC 4178 4.2.2.
type negState byte

const (
	acceptCompleted  negState = 0
	acceptIncomplete negState = 1
	rejected         negState = 2
	requestMIC       negState = 3

	negStateAbsent negState = 0xff
)

// maxMechs bounds the mechanisms in a client's list; clients send one to five.
const maxMechs = 32

// hintName is what servers put into negHints (MS-SPNG 2.2.1): the field must
// be there for some clients, and means nothing to any.
const hintName = "not_defined_in_RFC4178@please_ignore"

// Offer returns the NegTokenInit2 (MS-SPNG 2.2.1) for the security buffer of a
// negotiate response: NTLMSSP, and before it Kerberos if that is there. The slice is the caller's.
func (c *Config) Offer() []byte {
	mechs := encode(tagOID, oidNTLMSSP)
	if c.Kerberos != nil {
		mechs = append(append(encode(tagOID, oidMSKerberos), encode(tagOID, oidKerberos)...), mechs...)
	}
	return encode(tagApplication,
		encode(tagOID, oidSPNEGO),
		encode(tagContext, encode(tagSequence,
			encode(tagContext, encode(tagSequence, mechs)),
			encode(tagContext+3, encode(tagSequence,
				encode(tagContext, encode(tagGeneral, []byte(hintName))))))))
}

// negInit is a client's first token, RFC 4178 4.2.1.
type negInit struct {
	mechTypes []byte   // the MechTypeList as encoded: what mechListMIC covers
	mechs     [][]byte // in it, the preferred one, for which token is, first
	token     []byte   // mechToken; nil when absent
}

// negResp is any later token, RFC 4178 4.2.2.
type negResp struct {
	state negState
	token []byte
	mic   []byte
}

// parseNegInit reads a NegTokenInit in its GSS-API framing (RFC 2743 3.1).
func parseNegInit(b []byte) (t negInit, err error) {
	app, err := onlyElement(b, tagApplication, "initial token")
	if err != nil {
		return t, err
	}
	oid, rest, err := wantElement(app.body, tagOID, "mechanism of the initial token")
	if err != nil {
		return t, err
	}
	if !bytes.Equal(oid.body, oidSPNEGO) {
		return t, unsupported("initial token of mechanism % .32x, want SPNEGO", oid.body)
	}
	fields, err := choice(rest, tagContext, "NegTokenInit")
	if err != nil {
		return t, err
	}
	err = eachField(fields, func(n int, body []byte) (err error) {
		switch n {
		case 0:
			return t.setMechTypes(body)
		case 2:
			t.token, err = octets(body, "mechToken")
		}
		// reqFlags [1] is deprecated and to be ignored (RFC 4178 4.2.1). negHints and
		// mechListMIC [3, 4] have no meaning in a client's first token.
		return err
	})
	if err == nil && t.mechTypes == nil {
		err = malformed("NegTokenInit without mechTypes")
	}
	return t, err
}

func (t *negInit) setMechTypes(body []byte) error {
	list, err := onlyElement(body, tagSequence, "mechTypes")
	if err != nil {
		return err
	}
	t.mechTypes = list.full
	rest := list.body
	for i := 0; len(rest) > 0; i++ {
		if i == maxMechs {
			return malformed("more than %d mechanisms", maxMechs)
		}
		var oid element
		if oid, rest, err = wantElement(rest, tagOID, "mechType"); err != nil {
			return err
		}
		t.mechs = append(t.mechs, oid.body)
	}
	return nil
}

// parseNegResp reads a NegTokenResp.
func parseNegResp(b []byte) (t negResp, err error) {
	t.state = negStateAbsent
	fields, err := choice(b, tagContext+1, "NegTokenResp")
	if err != nil {
		return t, err
	}
	err = eachField(fields, func(n int, body []byte) (err error) {
		switch n {
		case 0:
			e, err := onlyElement(body, tagEnumerated, "negState")
			if err != nil {
				return err
			}
			if len(e.body) != 1 {
				return malformed("negState of %d bytes, want 1", len(e.body))
			}
			t.state = negState(e.body[0])
		case 1:
			e, err := onlyElement(body, tagOID, "supportedMech")
			if err != nil {
				return err
			}
			if !bytes.Equal(e.body, oidNTLMSSP) && !isKerberos(e.body) {
				return unsupported("supportedMech % .32x, want NTLMSSP or Kerberos", e.body)
			}
		case 2:
			t.token, err = octets(body, "responseToken")
		case 3:
			t.mic, err = octets(body, "mechListMIC")
		}
		return err
	})
	return t, err
}

// choice opens the alternative with this tag of NegotiationToken and returns its fields.
func choice(b []byte, tag byte, what string) ([]byte, error) {
	e, err := onlyElement(b, tag, what)
	if err != nil {
		return nil, err
	}
	seq, err := onlyElement(e.body, tagSequence, what)
	return seq.body, err
}

// eachField calls f for each optional field [n] of a sequence, which come in ascending order.
func eachField(b []byte, f func(n int, body []byte) error) error {
	last := -1
	for len(b) > 0 {
		e, rest, err := nextElement(b)
		if err != nil {
			return err
		}
		n := int(e.tag) - tagContext
		if n <= last || n > 4 {
			return malformed("field with DER tag 0x%02x after [%d]", e.tag, last)
		}
		if err := f(n, e.body); err != nil {
			return err
		}
		last, b = n, rest
	}
	return nil
}

func octets(b []byte, what string) ([]byte, error) {
	e, err := onlyElement(b, tagOctetString, what)
	return e.body, err
}

// encodeNegResp makes a NegTokenResp; mech, token and mic are left out when nil.
func encodeNegResp(state negState, mech, token, mic []byte) []byte {
	fields := [][]byte{encode(tagContext, encode(tagEnumerated, []byte{byte(state)}))}
	if mech != nil {
		fields = append(fields, encode(tagContext+1, encode(tagOID, mech)))
	}
	if token != nil {
		fields = append(fields, encode(tagContext+2, encode(tagOctetString, token)))
	}
	if mic != nil {
		fields = append(fields, encode(tagContext+3, encode(tagOctetString, mic)))
	}
	return encode(tagContext+1, encode(tagSequence, fields...))
}
