package authtest

import (
	"bytes"

	"github.com/jcmturner/gofork/encoding/asn1"
)

// Mechanisms.
var (
	KerberosOID   = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
	MSKerberosOID = []byte{0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02}
	NTLMOID       = []byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a}
	OtherOID      = []byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e} // NEGOEX
)

// DER encodes an element.
func DER(tag byte, parts ...[]byte) []byte {
	b, err := asn1.Marshal(asn1.RawValue{Class: int(tag >> 6), Tag: int(tag & 31), IsCompound: tag&0x20 != 0, Bytes: bytes.Join(parts, nil)})
	if err != nil {
		panic(err)
	}
	return b
}

// MechList is the MechTypeList, and InitToken the NegTokenInit with it: RFC 4178 4.2.1.
func MechList(mechs ...[]byte) []byte {
	var all [][]byte
	for _, oid := range mechs {
		all = append(all, DER(6, oid))
	}
	return DER(0x30, all...)
}

// InitToken is a client's first token.
func InitToken(list, token []byte) []byte {
	fields := [][]byte{DER(0xa0, list)}
	if token != nil {
		fields = append(fields, DER(0xa2, DER(4, token)))
	}
	return DER(0x60, DER(6, []byte{0x2b, 0x06, 0x01, 0x05, 0x05, 0x02}), DER(0xa0, DER(0x30, fields...)))
}

// RespToken is a client's next one, RFC 4178 4.2.2.
func RespToken(token, mic []byte) []byte {
	var fields [][]byte
	if token != nil {
		fields = append(fields, DER(0xa2, DER(4, token)))
	}
	if mic != nil {
		fields = append(fields, DER(0xa3, DER(4, mic)))
	}
	return DER(0xa1, DER(0x30, fields...))
}

// NegResp is a server's NegTokenResp.
type NegResp struct {
	State asn1.Enumerated       `asn1:"explicit,optional,tag:0"`
	Mech  asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	Token []byte                `asn1:"explicit,optional,tag:2"`
	MIC   []byte                `asn1:"explicit,optional,tag:3"`
}

// ParseResp reads one.
func ParseResp(b []byte) (r NegResp, err error) {
	_, err = asn1.UnmarshalWithParams(b, &r, "explicit,tag:1")
	return r, err
}
