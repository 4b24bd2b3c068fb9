package smbproto

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// trans2Msg is a TRANSACTION2 that carries some of its parameters and data.
func (p *peer1) trans2Msg(fn uint16, params, data []byte, totalParams, totalData, maxData int) []byte {
	const at = wire.SMB1HeaderSize + 1 + 30 + 2 + 1
	w := words(uint16(totalParams), uint16(totalData), uint16(10), uint16(maxData), uint8(0), uint8(0), uint16(0), uint32(0), uint16(0),
		uint16(len(params)), uint16(at), uint16(len(data)), uint16(at+len(params)), uint16(1), fn)
	return p.msg(wire.SMB1Transaction2, w, append(append([]byte{0}, params...), data...))
}

// secondaryMsg carries a further part of the data of a transaction.
func (p *peer1) secondaryMsg(of []byte, totalParams, totalData int, data []byte, at int) []byte {
	const off = wire.SMB1HeaderSize + 1 + 18 + 2
	m := p.msg(wire.SMB1Transaction2Secondary, words(uint16(totalParams), uint16(totalData), uint16(0), uint16(0), uint16(0),
		uint16(len(data)), uint16(off), uint16(at), uint16(0)), data)
	copy(m[24:32], of[24:32])
	return m
}

func findParams(pattern string, flags uint16) []byte {
	return append(append(words(uint16(0x16), uint16(1000), flags, uint16(0x104), uint32(0)), utf16le(pattern)...), 0, 0)
}

// An answer that the client can't take in one message comes in several, each with the header of an answer.
func TestSMB1LongAnswersComeInParts(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	const files = 200
	for i := range files {
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("file-%03d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.c.smb1.maxBuffer = 4096
	params := findParams(`\*`, 6)
	msg := p.trans2Msg(1, params, nil, len(params), 0, 60_000)
	if err := p.feed(frame(msg)); err != nil {
		t.Fatal(err)
	}
	var data []byte
	parts := 0
	for {
		r := wire.SMB1Header(p.reply())
		if r == nil {
			break
		}
		if parts++; len(r) > 4096 {
			t.Errorf("a part of %d bytes", len(r))
		}
		b := p.isAnswer(r, msg, wire.StatusOK)
		if int(b.Word(8)) != len(data) {
			t.Errorf("part %d begins at %d, want %d", parts, b.Word(8), len(data))
		}
		data = append(data, r[b.Word(7):b.Word(7)+b.Word(6)]...)
		if len(data) == int(b.Word(1)) {
			break
		}
	}
	count := 0
	for rest := data; len(rest) > 0; count++ {
		next := le.Uint32(rest)
		if next == 0 {
			count++
			break
		}
		rest = rest[next:]
	}
	if count != files+2 || parts < 5 {
		t.Errorf("%d entries in %d parts", count, parts)
	}
}

// A request that comes in several messages is answered when all of them are there: with an interim answer to the first,
// and the last one's.
func TestSMB1LongRequestsComeInParts(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	needXattrs(t)
	fid := p.open1("file", all1)
	params := words(fid, uint16(wire.SMB1InfoEASize), uint16(0))
	eas := []wire.EA{{Name: "name", Value: pattern(3000)}}
	data := make([]byte, wire.SMB1EAListSize(eas))
	wire.PutSMB1EAs(data, eas)
	first := p.trans2Msg(8, params, data[:1000], len(params), len(data), 0)
	p.want1(first, wire.StatusOK)
	if r := p.ask1(p.secondaryMsg(first, len(params), len(data), data[1000:2000], 1000)); r != nil {
		t.Fatalf("answered before its end: %v", r.Status())
	}
	last := p.secondaryMsg(first, len(params), len(data), data[2000:], 2000)
	r := p.ask1(last)
	if r == nil || r.Status() != wire.StatusOK || r.Command() != wire.SMB1Transaction2 {
		t.Fatalf("the last part has the answer % x", []byte(r))
	}
	all := words(fid, uint16(wire.SMB1InfoAllEAs))
	b := p.want1(p.trans2Msg(7, all, nil, len(all), 0, 10_000), wire.StatusOK)
	if n := int(b.Word(6)); n != len(data) {
		t.Errorf("%d bytes of EAs, want %d", n, len(data))
	}
	// What belongs to nothing, and what does not fit into the whole, is refused.
	refused := func(msg []byte) {
		t.Helper()
		if r := p.ask1(msg); r == nil || r.Status() != wire.StatusInvalidParameter {
			t.Errorf("answer % x", []byte(r))
		}
	}
	refused(p.secondaryMsg(first, len(params), len(data), data[:10], 0))
	again := p.trans2Msg(8, params, data[:1000], len(params), len(data), 0)
	p.want1(again, wire.StatusOK)
	refused(p.secondaryMsg(again, len(params), len(data), data[:1000], len(data)-999))
	if n := len(p.c.smb1.transactions); n != 0 {
		t.Errorf("%d transactions are still awaited", n)
	}
	for range maxTransactions {
		p.want1(p.trans2Msg(8, params, data[:1000], len(params), len(data), 0), wire.StatusOK)
	}
	p.want1(p.trans2Msg(8, params, data[:1000], len(params), len(data), 0), wire.StatusInsuffServerResources)
}
