package smbproto

import (
	"fmt"

	"ustack/smbproto/wire"
)

// chain is what related requests of a compound inherit, MS-SMB2 3.3.5.2.7.2.
type chain struct {
	begun   bool
	session uint64
	tree    uint32
	fileID  wire.FileID
	failed  wire.Status // why there is no FileId to inherit
}

// compound answers a frame of one or more SMB2 messages in one frame. The
// requests are answered one after the other, each into its place in the out ring. An interim answer that is not the first
// has a frame of its own: Linux's cifs takes an encrypted frame that ends in one for that alone, and waits for the answers
// before it for ever.
func (c *Conn) compound(msg []byte) error {
	room, err := c.measure(msg)
	if err != nil {
		return err
	}
	b, at, err := c.begin(room)
	if err != nil {
		return err
	}
	n, err := c.answer(msg, b[at:at+room])
	c.req, c.rep = request{}, reply{} // they hold slices of the rings
	if e := c.send(b, n); e != nil {
		return e
	}
	if e := c.sendInterim(); e != nil {
		return e
	}
	if err == nil {
		err = c.hangUp
	}
	return err
}

// begin reserves a frame with room for n bytes of messages, which begin at b[at:]: encrypted, if the request was.
func (c *Conn) begin(n int) (b []byte, at int, err error) {
	at = wire.FrameHeaderSize
	if c.sealing != nil {
		n, at = n+sealOverhead, at+wire.TransformSize
	}
	b, err = c.reserve(n)
	return b, at, err
}

// send sends the frame that begin has reserved, with n bytes of messages.
func (c *Conn) send(b []byte, n int) error {
	if c.sealing != nil && n > 0 {
		if err := c.sealing.sealer.Seal(b[wire.FrameHeaderSize:], n); err != nil {
			c.commit(b, 0)
			return fmt.Errorf("sealing the answers of session %#x: %w", c.sealing.id, err)
		}
		n += wire.TransformSize
	}
	c.commit(b, n)
	return nil
}

// sendInterim sends the interim answer that is to have a frame of its own, if there is one.
func (c *Conn) sendInterim() error {
	n := len(c.interim)
	if n == 0 {
		return nil
	}
	b, at, err := c.begin(n)
	if err != nil {
		return err
	}
	copy(b[at:], c.interim)
	c.interim = c.interim[:0]
	return c.send(b, n)
}

// element cuts the first message of a compound off, MS-SMB2 3.3.5.2.7.
func element(msg []byte) (first, rest []byte, err error) {
	h := wire.Header(msg)
	if err := h.Valid(); err != nil {
		return nil, nil, err
	}
	next := uint64(h.NextCommand())
	if next == 0 {
		return msg, nil, nil
	}
	if next < wire.HeaderSize || next%8 != 0 || next > uint64(len(msg)-wire.HeaderSize) {
		return nil, nil, fmt.Errorf("%w: next message of the compound at %d of %d", wire.ErrMalformed, next, len(msg))
	}
	return msg[:next:next], msg[next:], nil
}

// measure checks the chain and says how much room all answers take at most. It
// is never more than the largest reply: then the last answers get less.
func (c *Conn) measure(msg []byte) (room int, err error) {
	for count := 1; ; count++ {
		first, rest, err := element(msg)
		if err != nil {
			return 0, err
		}
		if count > c.cfg.Limits.MaxCompound {
			return 0, fmt.Errorf("%w: compound of more than %d messages", wire.ErrMalformed, count-1)
		}
		h := wire.Header(first)
		if h.Command() == wire.CommandCancel && (count > 1 || rest != nil) {
			return 0, fmt.Errorf("%w: CANCEL in a compound", wire.ErrMalformed)
		}
		if h.Has(wire.FlagServerToClient) {
			return 0, fmt.Errorf("%w: a response from a client", wire.ErrMalformed)
		}
		if c.sealing != nil && (count == 1 && c.resumed == nil || !h.Has(wire.FlagRelated)) && h.SessionID() != c.sealing.id {
			return 0, fmt.Errorf("%w: a message of session %#x, encrypted with the key of %#x", wire.ErrMalformed, h.SessionID(), c.sealing.id)
		}
		if least := count * wire.Align8(wire.ErrorSize); least > c.largestReply {
			return 0, fmt.Errorf("%w: compound of %d messages, whose answers take %d bytes of %d at least",
				wire.ErrMalformed, count, least, c.largestReply)
		}
		room += wire.Align8(commandOf(h.Command()).greatest(first))
		if msg = rest; msg == nil {
			return min(room, c.largestReply), nil
		}
	}
}

// answer runs the messages of a chain that measure has checked, and returns the
// length of the answers in out.
func (c *Conn) answer(msg, out []byte) (n int, err error) {
	c.chain = chain{fileID: wire.FileIDNone}
	var before request // of the last answer in out, which begins at beforeAt
	var beforeAt int
	again := c.resumed // the first, if it was counted before
	if again != nil {
		c.chain = again.chain
	}
	for msg != nil {
		frame := msg
		var first []byte
		if first, msg, err = element(msg); err != nil {
			return n, err
		}
		c.req = request{msg: first, cmd: wire.Header(first).Command(), frame: frame, last: msg == nil, alone: n == 0 && msg == nil && again == nil}
		c.rep = reply{}
		if again != nil {
			c.rep.async = again.id
		} else if err := c.checkState(&c.req); err != nil {
			return n, err
		} else if err := c.count(c.req.header()); err != nil {
			return n, err
		}
		// Each message that follows needs room for an error at least.
		left := len(out) - n - remaining(msg)*wire.Align8(wire.ErrorSize)
		var status wire.Status
		need := commandOf(c.req.cmd).greatest(first)
		least := need // a READ that is cut short looks like the end of a file
		if c.req.cmd != wire.CommandRead {
			least = c.largestReply / 2
		}
		refusal := wire.StatusInsufficientResources
		if again != nil {
			refusal = again.refusal()
		}
		if left >= min(need, least, c.largestReply) && (again == nil || refusal == wire.StatusOK) {
			c.rep.msg = out[n : n+min(need, left)]
			status = c.run(&c.req, &c.rep)
		} else {
			c.rep.msg = out[n : n+wire.ErrorSize]
			// Whose request it is decides whether the refusal is signed.
			if status = c.resolve(&c.req, true); status == wire.StatusOK {
				status = refusal
			}
		}
		if status == wire.StatusPending {
			if again != nil {
				return 0, nil // it has had its interim answer
			}
			msg = nil // what follows waits, too
		}
		again = nil
		if c.req.cmd == wire.CommandCancel {
			return 0, nil // has no answer, and stands alone
		}
		if c.hangUp != nil {
			msg = nil // what follows is not looked at any more
		}
		c.inherit(status)
		c.finish(&c.req, &c.rep, status)
		if status == wire.StatusPending && n > 0 {
			c.interim = append(c.interim[:0], c.rep.msg[:c.rep.n]...)
			wire.Header(out[beforeAt:]).PutNextCommand(0)
			c.sign(&before, out[beforeAt:n]) // again; the signature that it had goes nowhere
			return n, nil
		}
		size := c.rep.n
		if msg != nil || n > 0 && wire.Align8(size) <= len(out)-n { // the last of several is padded, too, as Windows does
			size = wire.Align8(size)
			clear(out[n+c.rep.n : n+size])
		}
		if msg != nil {
			wire.Header(out[n:]).PutNextCommand(uint32(size))
			before, beforeAt = c.req, n
		}
		c.sign(&c.req, out[n:n+size])
		c.hashPreauth(&c.req, &c.rep, out[n:n+size], status)
		n += size
	}
	return n, nil
}

// remaining counts the messages of a chain.
func remaining(msg []byte) (n int) {
	for msg != nil {
		n++
		_, rest, err := element(msg)
		if err != nil {
			return n
		}
		msg = rest
	}
	return n
}

// inherit notes what the messages that follow may refer to.
func (c *Conn) inherit(status wire.Status) {
	r, w := &c.req, &c.rep
	h := r.header()
	if h.Has(wire.FlagRelated) && !c.chain.begun {
		return // it was refused, and so is what refers to it
	}
	if !h.Has(wire.FlagRelated) {
		c.chain = chain{session: h.SessionID(), tree: h.TreeID(), fileID: c.chain.fileID}
		if r.open == nil {
			c.chain.fileID = wire.FileIDNone
		}
	}
	if c.chain.begun = r.session != nil || commandOf(r.cmd).needs&needSession == 0; !c.chain.begun {
		return // without a session there is nothing to refer to
	}
	if w.session != 0 {
		c.chain.session = w.session
	}
	if w.tree != 0 {
		c.chain.tree = w.tree
	}
	if w.fileID != (wire.FileID{}) {
		c.chain.fileID, c.chain.failed = w.fileID, wire.StatusOK
	} else if status.IsError() && r.open == nil && (r.cmd == wire.CommandCreate || c.chain.fileID == wire.FileIDNone) {
		// Without an open there is nothing that a related request could work on. One that the chain
		// has already stays, whatever else fails: else nobody would close it.
		c.chain.failed = status
	}
}
