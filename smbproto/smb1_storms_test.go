package smbproto

import (
	"testing"

	"ustack/smbproto/wire"
)

// trans2 is a TRANSACTION2 of one message, whose totals may say that more will come.
func (p *peer1) trans2(fn uint16, totalData int, params, data []byte) []byte {
	return p.trans2Msg(fn, params, data, len(params), totalData, 4000)
}

// Of transactions that are never sent to their end a connection has few, and they go with it.
func TestSMB1TransactionsThatDoNotEndAreBounded(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	begin := func() []byte { return p.trans2(6, 60_000, make([]byte, 10), make([]byte, 10)) }
	for range maxTransactions {
		p.want1(begin(), wire.StatusOK)
	}
	p.want1(begin(), wire.StatusInsuffServerResources)
	size := 0
	for _, tr := range p.c.smb1.transactions {
		size += cap(tr.params) + cap(tr.data)
	}
	if most := maxTransactions * (p.c.maxTransact + 1<<16); size > most {
		t.Errorf("%d bytes are kept, at most %d may be", size, most)
	}
	// One whose parts are too many ends, and leaves its place to another.
	rest := p.msg(wire.SMB1Transaction2Secondary, words(uint16(10), uint16(60_000), uint16(10), uint16(wire.SMB1HeaderSize+1+18+2), uint16(0),
		uint16(0), uint16(0), uint16(0), uint16(0)), make([]byte, 10))
	copy(rest[30:32], words(p.c.smb1.transactions[0].mid))
	for range 2 {
		p.ask1(rest)
	}
	if n := len(p.c.smb1.transactions); n > maxTransactions {
		t.Errorf("%d transactions wait", n)
	}
}

// Searches that a client leaves open count as its open files do, and are closed with its session.
func TestSMB1SearchesAreBounded(t *testing.T) {
	p := newPeer1(t, func(c *Config) { c.Limits.MaxOpens = 5 }).logOn1("pub")
	p.sh("touch a", "touch b", "touch c")
	find := func() []byte {
		return p.trans2(1, 0, append(words(uint16(0x16), uint16(1), uint16(0), uint16(0x104), uint32(0)), append(utf16le(`\*`), 0, 0)...), nil)
	}
	p.open1("open", all1)
	for range 4 {
		p.want1(find(), wire.StatusOK)
	}
	p.want1(find(), wire.StatusTooManyOpenedFiles)
	if n := p.srv.budget.Open(); n != 5 {
		t.Errorf("%d files are open, want 5", n)
	}
	p.want1(p.msg(wire.SMB1LogoffAndX, andX(), nil), wire.StatusOK)
	if n := p.srv.budget.Open(); n != 0 {
		t.Errorf("%d files are open when nobody is logged on", n)
	}
}

// An ECHO is answered as often as the client says, but not for ever.
func TestSMB1EchoesAreBounded(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	if err := p.feed(frame(p.msg(wire.SMB1Echo, words(uint16(0xffff)), make([]byte, 1000)))); err != nil {
		t.Fatal(err)
	}
	n := 0
	for p.reply() != nil {
		n++
	}
	if n != maxEchoes {
		t.Errorf("%d answers", n)
	}
}
