package smbproto

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// Conn is the state of one connection, MS-SMB2 3.3.1.7. It is an ioarea.Handler,
// and belongs to the goroutine that calls Handle; Close is called after the last
// Handle.
type Conn struct {
	srv *Server
	cfg *Config // the server's, when the connection began
	a   *ioarea.Area
	in  *ioarea.Ring // a.In, to be woken by others also when the area is another stream's
	out *ioarea.Ring // a.Out, from which others take back what was lent, likewise
	// askedBack counts when they do.
	askedBack atomic.Uint64
	// stream is what stands behind the area, or nil: others ask it, likewise.
	stream ioarea.Stream
	log    *slog.Logger
	// remote is the client's address, or "".
	remote string

	// What was negotiated.
	dialect      wire.Dialect // 0 before, wire.DialectWildcard in between
	clientMode   uint16
	clientCaps   uint32
	clientGUID   [16]byte
	protection   protection
	preauth      crypt.Preauth // of the negotiation, in dialect 3.1.1
	largeMTU     bool
	maxRead      int
	maxWrite     int
	maxTransact  int
	largestFrame int // the longest message that the in ring holds
	largestReply int

	began time.Time
	// loggedOn is set for good by the first log-on: until then a connection gets
	// little time, and no room for large messages.
	loggedOn bool
	// named is set by a session request: there is one at most, before all messages.
	named bool
	// hangUp is why the connection ends after the answer in hand.
	hangUp error

	credits  credits
	sessions map[uint64]*channel // whose channel it is
	binding  map[uint64]*channel // whose channel it becomes, if the log-on succeeds
	nextTree uint32
	locks    int // byte-range locks of all opens; guarded by the lock of the table of files
	refusals int // log-ons that failed

	// The requests that wait, by AsyncId, and those of them that wait no more.
	pending   map[uint64]*pending
	settled   settled
	changes   atomic.Int64 // bytes of changes in directories that are kept for the client
	againSize int          // what those that are to be tried again take, bytes
	resumed   *pending     // the one that is tried again, while it is

	// The message in hand. These are fields so that no request allocates them.
	req      request
	rep      reply
	chain    chain
	interim  []byte   // an answer that goes into a frame of its own, after the one in hand
	sealing  *channel // whose key it was encrypted with; nil if it was not
	arriving arriving
	info     wire.FileInfo
	smb1     *smb1 // nil but for a client of SMB1
}

// NewConn begins a connection over an area. Close must be called in the end;
// Serve does both.
func (s *Server) NewConn(a *ioarea.Area) *Conn {
	in, out := s.RingSize()
	cfg := &s.settings().cfg
	l := &cfg.Limits
	c := &Conn{
		srv:          s,
		cfg:          cfg,
		a:            a,
		in:           a.In,
		out:          a.Out,
		stream:       a.Stream(),
		log:          s.cfg.Log,
		largestFrame: min(in, a.In.Cap()-wire.FrameHeaderSize),
		largestReply: min(out, a.Out.Cap()-wire.FrameHeaderSize) - sealOverhead,
		credits:      newCredits(l.MaxCredits),
		sessions:     map[uint64]*channel{},
		binding:      map[uint64]*channel{},
		pending:      map[uint64]*pending{},
		began:        s.cfg.Now(),
	}
	if st := c.stream; st != nil && st.RemoteAddr() != nil {
		c.remote = st.RemoteAddr().String()
		c.log = c.log.With("remote", c.remote)
	}
	const around = framing - sealOverhead // of a reply's payload
	c.maxRead = max(min(l.MaxRead, c.largestReply-around), 0)
	c.maxWrite = max(min(l.MaxWrite, c.largestFrame-framing), 0)
	c.maxTransact = max(min(l.MaxTransact, c.largestReply-around, c.largestFrame-framing), 0)
	s.counters.connections.Add(1)
	return c
}

// Close ends the sessions that have no other channel: files are closed, locks and share modes given up, and
// what is to be deleted on close is deleted. The requests that wait are given up, MS-SMB2 3.3.7.1.
func (c *Conn) Close() error {
	var errs []error
	for _, ch := range c.sessions {
		errs = append(errs, ch.leave())
	}
	c.forgetPending()
	clear(c.sessions)
	clear(c.binding)
	if c.smb1 != nil {
		errs = append(errs, c.smb1.close())
	}
	c.arriving.leaveOpen()
	c.srv.counters.connections.Add(-1)
	return errors.Join(errs...)
}

// piece is how much of a request is waited for at a time. The timeout counts anew
// for each piece, so a slow client is not cut off while it gets on.
const piece = 64 << 10

// largestLogOn is the longest message before the first log-on, in bytes: room for a
// token of 64 KiB.
const largestLogOn = 64<<10 + framing

// Handle implements ioarea.Handler: it answers all requests that are there, and
// says what the next one lacks.
func (c *Conn) Handle(a *ioarea.Area) (ioarea.Next, error) {
	for {
		var missing int
		var err error
		if c.settled.some.Load() {
			if err := c.answerSettled(); err != nil {
				return ioarea.Next{}, err
			}
		}
		if c.arriving.active {
			missing, err = c.writeArrived()
		} else {
			missing, err = c.frame()
		}
		if err != nil {
			return ioarea.Next{}, err
		}
		if missing > 0 {
			return c.waitFor(missing)
		}
	}
}

// waitFor asks to be called when n bytes are there.
func (c *Conn) waitFor(n int) (ioarea.Next, error) {
	l := &c.cfg.Limits
	have := c.a.In.Len()
	next := ioarea.Next{Min: min(n, have+piece), Within: l.RequestTimeout, Begun: c.arriving.active}
	switch {
	case !c.loggedOn:
		// All that comes before the first log-on has one time limit, so that nobody
		// can keep a connection without one.
		next.Within -= c.srv.cfg.Now().Sub(c.began)
		if next.Within <= 0 {
			return next, fmt.Errorf("not logged on in %v: %w", l.RequestTimeout, os.ErrDeadlineExceeded)
		}
	case have == 0 && !c.arriving.active:
		next.Within = l.IdleTimeout
	}
	return next, nil
}

// frame looks at the frame at the head of the in ring. It returns how many bytes
// must be there to get on, or 0 when it has taken something out of the ring.
func (c *Conn) frame() (missing int, err error) {
	in := c.a.In
	have := in.Len()
	if have < wire.FrameHeaderSize {
		return wire.FrameHeaderSize, nil
	}
	b := in.Peek(have)
	h := wire.FrameHeader(b)
	n := h.Length()
	switch h.Type() {
	case wire.FrameMessage:
	case wire.FrameKeepAlive:
		if n != 0 {
			return 0, fmt.Errorf("%w: keep-alive of %d bytes", wire.ErrMalformed, n)
		}
		in.Consume(wire.FrameHeaderSize)
		return 0, nil
	case wire.FrameRequest:
		return c.requestSession(b, n)
	default:
		return 0, fmt.Errorf("%w: session packet of type %#x", wire.ErrMalformed, uint8(h.Type()))
	}
	c.named = true // too late for it now
	most := c.largestFrame
	if !c.loggedOn {
		most = min(most, largestLogOn)
	}
	if n > most {
		return 0, fmt.Errorf("%w: message of %d bytes, at most %d allowed", wire.ErrMalformed, n, most)
	}
	if n < 4 {
		return 0, fmt.Errorf("%w: message of %d bytes", wire.ErrMalformed, n)
	}
	// The header is enough to branch into a handler; a WRITE's fixed body is enough
	// to send what follows to its file.
	msg := b[wire.FrameHeaderSize:]
	if n > wire.WriteRequestFixed {
		if len(msg) < wire.WriteRequestFixed {
			return wire.FrameHeaderSize + wire.WriteRequestFixed, nil
		}
		if c.smb1 == nil && c.mayArrive(msg) {
			return 0, c.beginWrite(msg[:wire.WriteRequestFixed], n)
		}
	}
	if len(msg) < n {
		return wire.FrameHeaderSize + n, nil
	}
	err = c.message(msg[:n:n])
	in.Consume(wire.FrameHeaderSize + n)
	return 0, err
}

// message handles one whole message.
func (c *Conn) message(msg []byte) error {
	switch {
	case c.smb1 != nil && !wire.IsSMB1(msg):
		return fmt.Errorf("%w: a message of another protocol than SMB1, which was negotiated", wire.ErrMalformed)
	case wire.IsSMB2(msg):
		return c.compound(msg)
	case wire.IsSMB1(msg):
		if c.smb1 != nil {
			return c.messageSMB1(msg)
		}
		return c.negotiateSMB1(msg)
	case wire.IsTransform(msg):
		return c.sealed(msg)
	}
	return fmt.Errorf("%w: protocol identifier % x", wire.ErrMalformed, msg[:4])
}

// reserve makes room for a frame with n bytes of messages in the out ring.
func (c *Conn) reserve(n int) ([]byte, error) {
	b, err := c.a.Out.Reserve(wire.FrameHeaderSize+n, c.cfg.Limits.RequestTimeout)
	if err != nil {
		return nil, fmt.Errorf("no room for a reply of %d bytes: %w", n, err)
	}
	return b, nil
}

// commit sends the frame at b with n bytes of messages, or, if n is 0, nothing.
func (c *Conn) commit(b []byte, n int) {
	if n > 0 {
		wire.FrameHeader(b).Put(wire.FrameMessage, n)
		c.a.Out.Commit(wire.FrameHeaderSize + n)
	}
	c.a.Out.Cancel()
}

// errHangUp ends a connection in order.
var errHangUp = io.EOF
