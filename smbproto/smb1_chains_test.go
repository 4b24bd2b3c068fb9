package smbproto

import (
	"testing"

	"ustack/smbproto/wire"
)

// follow appends a command to a chain of AndX commands, whose last begins at a place of it.
func follow(msg []byte, last int, next wire.SMB1Command, words, data []byte) (chain []byte, at int) {
	for len(msg)%4 != 0 {
		msg = append(msg, 0)
	}
	at = len(msg)
	msg[last+1] = byte(next)
	le.PutUint16(msg[last+3:], uint16(at))
	msg = append(append(msg, byte(len(words)/2)), words...)
	return append(le.AppendUint16(msg, uint16(len(data))), data...), at
}

// Answers of a chain that the room of the largest one does not hold are refused with the chain.
func TestSMB1ChainsOfLargeAnswersAreRefused(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("file", all1)
	p.want1(p.writeMsg1(fid, 0, pattern(500_000)), wire.StatusOK)
	p.want1(p.writeMsg1(fid, 3_000_000, pattern(10)), wire.StatusOK)
	read := p.readMsg1(fid, 0, p.c.maxRead)
	body := read[wire.SMB1HeaderSize+1 : len(read)-2]
	chain, last := read, wire.SMB1HeaderSize
	for range 5 {
		chain, last = follow(chain, last, wire.SMB1ReadAndX, body, nil)
	}
	p.want1(chain, wire.StatusInsufficientResources)
	p.want1(p.readMsg1(fid, 0, p.c.maxRead), wire.StatusOK)

	// Small ones come all.
	read = p.readMsg1(fid, 0, 10)
	chain, _ = follow(read, wire.SMB1HeaderSize, wire.SMB1ReadAndX, body, nil)
	b := p.want1(chain, wire.StatusOK)
	if next, _ := b.AndX(); next != wire.SMB1ReadAndX {
		t.Errorf("%#x follows in the answer", next)
	}
}

// A transaction or a search at the end of a chain has room, and its answer is not cut in parts, before which the others stand.
func TestSMB1ChainsEndInWhatTakesRoom(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("file", all1)
	p.want1(p.writeMsg1(fid, 0, pattern(10_000)), wire.StatusOK)
	p.c.smb1.maxBuffer = leastSMB1Buffer
	read := func() []byte { return p.readMsg1(fid, 0, 4_000) }
	seek := p.lockMsg1(fid, 1, 1, 0)

	nt := words(uint8(0), uint16(0), uint32(8), uint32(0), uint32(4), uint32(60_000), uint32(8), uint32(len(seek)+2), uint32(0), uint32(0), uint8(0), uint16(6))
	params := words(fid, uint16(0), uint32(1))
	for name, begin := range map[string][]byte{"READ_ANDX": read(), "LOCKING_ANDX": seek} {
		for code, w := range map[wire.SMB1Command][]byte{
			wire.SMB1NTTransact: nt,
			wire.SMB1Search:     words(uint16(10), uint16(0x16)),
			wire.SMB1Transaction2: words(uint16(2), uint16(0), uint16(10), uint16(4000), uint8(0), uint8(0), uint16(0), uint32(0), uint16(0),
				uint16(2), uint16(wire.SMB1HeaderSize), uint16(0), uint16(0), uint16(1), uint16(3)),
			wire.SMB1Echo: words(uint16(1)),
		} {
			data := params
			if code == wire.SMB1Search {
				data = append(append([]byte{4}, utf16le("*")...), 0, 0, 5, 0, 0)
			}
			chain, at := follow(append([]byte(nil), begin...), wire.SMB1HeaderSize, code, w, data)
			if code == wire.SMB1NTTransact {
				le.PutUint32(chain[at+1+23:], uint32(len(chain)-len(params)))
				le.PutUint32(chain[at+1+19:], 8)
			}
			if r := p.ask1(chain); r == nil {
				t.Errorf("%s and %s: no answer", name, smb1Commands[code].name)
			} else if _, err := r.Block(wire.SMB1HeaderSize); err != nil {
				t.Errorf("%s and %s: %v", name, smb1Commands[code].name, err)
			}
			for p.reply() != nil {
			}
		}
	}
}

// Who has negotiated SMB1 speaks nothing else.
func TestSMB1ClientsSpeakNoSMB2(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	m := p.request(wire.CommandEcho, 4, nil)
	if err := p.feed(frame(m)); err == nil {
		t.Errorf("SMB2 is answered where SMB1 was negotiated: % x", p.reply())
	}
}
