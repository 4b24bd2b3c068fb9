package rpc

import (
	"encoding/binary"
	"sync/atomic"
)

// Server is what listens on one named pipe: its interfaces. It may be used from many goroutines.
type Server struct {
	pipeName string // "\PIPE\srvsvc", a bind_ack's secondary address
	ifaces   []*iface
	groups   atomic.Uint32
}

// PipeName is the pipe's name, with "\PIPE\" before it.
func (s *Server) PipeName() string { return s.pipeName }

// Open makes the state of one open of the pipe.
func (s *Server) Open() *Pipe {
	return &Pipe{srv: s, maxXmit: mustFrag, contexts: map[uint16]*iface{}}
}

// Pipe is one open of a named pipe. It is not safe for concurrent use, and need not be closed.
type Pipe struct {
	srv *Server
	err error // set for good by the first protocol error

	in   []byte // the PDU that is coming in, so far
	call call   // the request whose fragments are coming in

	bound    bool
	contexts map[uint16]*iface // presentation contexts, by the client's number
	maxXmit  int               // largest fragment to send

	out     []byte // PDUs to be read, each a message
	message int    // bytes of the first that are still to be read, if its beginning was
}

// Write takes bytes from the client: whole PDUs, parts of one, or several. An error is for
// good and wraps ErrProtocol; replies that were made before it can still be read.
func (p *Pipe) Write(b []byte) error {
	for len(b) > 0 && p.err == nil {
		b = b[p.fill(b):]
	}
	return p.err
}

// fill moves bytes up to the end of the header or the PDU, handles what is then complete,
// and returns how many it took.
func (p *Pipe) fill(b []byte) int {
	need := headerSize
	if len(p.in) >= headerSize {
		need = p.header().fragLen
	}
	n := min(need-len(p.in), len(b))
	p.in = append(p.in, b[:n]...)
	if len(p.in) < need {
		return n
	}
	if need == headerSize {
		h, err := parseHeader(p.in)
		if err != nil {
			p.err = err
			return n
		}
		need = h.fragLen
	}
	if len(p.in) == need {
		p.err = p.receive(p.header(), p.in)
		p.in = p.in[:0]
	}
	return n
}

// header is that of p.in, which was checked when it was complete.
func (p *Pipe) header() header {
	h, _ := parseHeader(p.in)
	return h
}

// receive handles one whole PDU.
func (p *Pipe) receive(h header, pdu []byte) error {
	if len(p.out) > maxPending {
		return protocolError("a further PDU while %d bytes of replies are unread", len(p.out))
	}
	switch h.ptype {
	case typeBind, typeAlterContext:
		return p.bind(h, pdu)
	case typeRequest:
		return p.request(h, pdu)
	case typeOrphaned:
		// C706 12.6.4.8: the client gives up the call.
		if p.call.open && p.call.id == h.callID {
			p.call = call{}
		}
		return nil
	case typeCoCancel:
		return nil // a call is over before a cancel can come
	}
	return protocolError("PDU of type %d from a client", h.ptype)
}

func (p *Pipe) reply(pdu []byte) { p.out = append(p.out, pdu...) }

// Name is the PipeName of its server.
func (p *Pipe) Name() string { return p.srv.pipeName }

// Pending returns how many bytes of replies have not been read.
func (p *Pipe) Pending() int { return len(p.out) }

// Read moves the next bytes of the pending reply to dst. It stops at the end
// of a PDU, which is a message of the pipe; more says that dst was too small for the rest
// of it (STATUS_BUFFER_OVERFLOW). n is 0 when nothing is pending.
func (p *Pipe) Read(dst []byte) (n int, more bool) {
	if len(p.out) == 0 {
		return 0, false
	}
	if p.message == 0 {
		p.message = int(binary.LittleEndian.Uint16(p.out[8:])) // its fragment length
	}
	n = copy(dst, p.out[:p.message])
	p.out, p.message = p.out[n:], p.message-n
	if len(p.out) == 0 {
		p.out = nil // a long reply is not kept
	}
	return n, p.message > 0
}
