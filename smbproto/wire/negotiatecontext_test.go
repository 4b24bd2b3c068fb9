package wire

import (
	"bytes"
	"testing"
)

// negotiate311 is a request for dialect 3.1.1 with the contexts that it is given.
func negotiate311(contexts ...[]byte) []byte {
	m := make([]byte, HeaderSize+36+4)
	copy(m, "\xfeSMB")
	le.PutUint16(m[4:], HeaderSize)
	le.PutUint16(m[HeaderSize:], 36)
	le.PutUint16(m[HeaderSize+2:], 1)
	le.PutUint16(m[HeaderSize+36:], uint16(Dialect311))
	le.PutUint32(m[92:], uint32(len(m)))
	le.PutUint16(m[96:], uint16(len(contexts)))
	for _, c := range contexts {
		m = append(m, make([]byte, Align8(len(m))-len(m))...)
		m = append(m, c...)
	}
	return m
}

func context311(kind NegotiateContextType, data ...byte) []byte {
	c := make([]byte, negotiateContextHeader, negotiateContextHeader+len(data))
	le.PutUint16(c, uint16(kind))
	le.PutUint16(c[2:], uint16(len(data)))
	return append(c, data...)
}

func preauth311() []byte {
	c := make([]byte, 64)
	return c[:PutPreauth(c, make([]byte, PreauthSaltSize))]
}

func TestNegotiateContexts(t *testing.T) {
	whole := negotiate311(preauth311(), context311(ContextSigning, 2, 0, 2, 0, 1, 0), context311(ContextEncryption, 1, 0, 2, 0))
	far := bytes.Clone(whole)
	le.PutUint32(far[92:], 0xfffffff8)
	over := bytes.Clone(whole) // the contexts begin in the dialects
	le.PutUint32(over[92:], HeaderSize+36)
	many := bytes.Clone(whole)
	le.PutUint16(many[96:], 0xffff)
	for _, c := range []struct {
		name string
		m    []byte
		seen int // contexts, before an error
		ok   bool
	}{
		{"three", whole, 3, true},
		{"none", negotiate311(), 0, true},
		{"more than there are", many, 3, false},
		{"cut in the last one's data", whole[:len(whole)-1], 2, false},
		{"cut in the last one's header", whole[:len(whole)-5], 2, false},
		{"beyond the message", far, 0, false},
		{"in the dialects", over, 0, false},
	} {
		seen := 0
		r := NegotiateRequest(c.m)
		if err := r.Valid(); err != nil {
			t.Fatal(c.name, err)
		}
		err := r.EachContext(func(NegotiateContextType, []byte) error { seen++; return nil })
		if seen != c.seen || (err == nil) != c.ok {
			t.Errorf("%s: %d contexts, %v", c.name, seen, err)
		}
	}
}

func TestListsOfANegotiateContext(t *testing.T) {
	for _, c := range []struct {
		name    string
		data    []byte
		preauth bool
		list    bool
	}{
		{"nothing", nil, false, false},
		{"no entry", []byte{0, 0, 0, 0}, false, false},
		{"one", []byte{1, 0, 0, 0, 1, 0}, true, true},
		{"a salt that is cut", []byte{1, 0, 3, 0, 1, 0, 9, 9}, false, true},
		{"a list that is cut", []byte{3, 0, 0, 0, 1, 0}, false, false},
		{"the largest count", []byte{255, 255, 0, 0, 1, 0}, false, false},
	} {
		if err := PreauthCapabilities(c.data).Valid(); (err == nil) != c.preauth {
			t.Errorf("%s as hashes: %v", c.name, err)
		}
		if err := Algorithms(c.data).Valid(); (err == nil) != c.list {
			t.Errorf("%s as algorithms: %v", c.name, err)
		}
	}
	if d := Algorithms([]byte{2, 0, 7, 0, 9, 0}); !d.Offers(9) || d.Offers(8) {
		t.Error("another list is read than was sent")
	}
}
