package smbproto

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// smb1 is what a connection has besides that speaks SMB1, MS-CIFS 3.3.1.3: its ids, which have 16 bits and count for
// the connection as a whole. It belongs to the connection's goroutine.
type smb1 struct {
	classic   *auth.Classic // for log-ons without extended security
	maxBuffer int           // the longest message that the client takes, but for those of large READs
	level2    bool          // it knows oplocks of level II
	reauth    bool          // it knows that tickets end

	sessions     map[uint16]*channel
	trees        map[uint16]*tree
	files        map[uint16]*open
	searches     map[uint16]*smb1Search
	transactions []*transaction // those whose secondary requests are awaited
	nextUID      uint16
	nextTID      uint16
	nextFID      uint16
	nextSID      uint16

	// Signing, MS-CIFS 3.1.4.1. The sequence number is that of the next request.
	signer *crypt.SMB1Signer
	seq    uint32

	// The message in hand. These are fields so that no request allocates them.
	req      smb1Request
	rep      smb1Reply
	measured wire.SMB1Block
}

// smb1Open is what an open has besides in SMB1.
type smb1Open struct {
	fid  uint16
	pid  uint32 // of the process that has opened it
	deny denyMode
	seek uint64 // where SEEK has gone to, or a READ or WRITE ended
	// conflict is where a lock was refused last: asked for again, the refusal has another status (MS-CIFS 3.3.5.30).
	conflict  uint64
	conflicts bool
}

// smb1Request is one command of a message, while it is being answered. Embedded is what the handlers of both
// protocols share.
type smb1Request struct {
	request
	code  wire.SMB1Command
	block wire.SMB1Block
	pid   uint32
	seq   uint32 // sequence number
	fid   uint16 // of the open that a command earlier in the chain has made
	chain bool   // fid counts

	copied uint64 // bytes, by COPY and its like
}

func (r *smb1Request) header() wire.SMB1Header { return wire.SMB1Header(r.msg) }

func (r *smb1Request) unicode() bool { return r.header().Has(wire.SMB1Flags2Unicode) }

// strings are those of the command's bytes.
func (r *smb1Request) strings() wire.SMB1Strings {
	return wire.NewSMB1Strings(r.block.Bytes, r.block.At, r.unicode())
}

// smb1Reply is the place of the answer to a message in the out ring.
type smb1Reply struct {
	reply             // msg has room for the whole answer; async is set for a request that waits
	at       int      // where the block of the command in hand begins
	silent   bool     // there is no answer
	flags    uint8    // more of the header's
	uid, tid uint16   // ids for the header, where the request's are not right
	more     [][]byte // messages that follow, without their headers
	repeat   int      // how many more answers there are to an ECHO
}

// words begins the block of a command with n words, which it returns, and no bytes.
func (w *smb1Reply) words(n int) []byte {
	w.msg[w.at] = byte(n)
	w.n = w.at + 1 + 2*n + 2
	b := w.msg[w.at+1 : w.n-2]
	clear(b)
	w.msg[w.n-2], w.msg[w.n-1] = 0, 0
	return b
}

// andX is words for a command of a chain, which nothing follows yet.
func (w *smb1Reply) andX(n int) []byte {
	b := w.words(n)
	b[0] = byte(wire.SMB1NoAndX)
	return b
}

// room is where the bytes of the block go on.
func (w *smb1Reply) room() []byte { return w.msg[w.n:] }

// grow says that n bytes have been put there.
func (w *smb1Reply) grow(n int) {
	w.n += n
	count := w.at + 1 + 2*int(w.msg[w.at])
	size := w.n - count - 2
	w.msg[count], w.msg[count+1] = byte(size), byte(size>>8) // the low half, of a large READ
}

// text puts a string behind the bytes; nothing, if there is no room for it.
func (w *smb1Reply) text(s string, unicode bool) {
	if wire.SMB1StringSize(s) <= len(w.msg)-w.n {
		w.grow(wire.PutSMB1String(w.room(), w.n, s, unicode))
	}
}

// messageSMB1 answers one message.
func (c *Conn) messageSMB1(msg []byte) error {
	h := wire.SMB1Header(msg)
	if err := h.Valid(); err != nil {
		return err
	}
	if h.Flags()&wire.SMB1FlagReply != 0 {
		return fmt.Errorf("%w: a response from a client", wire.ErrMalformed)
	}
	if h.Command() == wire.SMB1Negotiate {
		return fmt.Errorf("%w: a second SMB1 negotiate", wire.ErrMalformed)
	}
	room, fits, err := c.measureSMB1(h)
	if err != nil {
		return err
	}
	b, err := c.reserve(room)
	if err != nil {
		return err
	}
	s := c.smb1
	s.req = smb1Request{request: request{msg: msg, frame: msg}, pid: h.PID(), seq: s.seq}
	s.rep = smb1Reply{reply: reply{msg: b[wire.FrameHeaderSize : wire.FrameHeaderSize+room]}, at: wire.SMB1HeaderSize}
	answers := c.answerSMB1(fits)
	n := 0
	if answers {
		n = s.rep.n
	}
	more, repeat := s.rep.more, s.rep.repeat
	for _, m := range more {
		copy(m[:wire.SMB1HeaderSize], s.rep.msg)
	}
	var again []byte
	if repeat > 0 {
		again = append(again, s.rep.msg[:n]...)
	}
	c.commit(b, n)
	seq := s.req.seq
	s.req, s.rep, s.measured = smb1Request{}, smb1Reply{}, wire.SMB1Block{} // they hold slices of the rings
	for range repeat {
		more = append(more, again)
	}
	for i, m := range more {
		if repeat > 0 {
			m[wire.SMB1HeaderSize+1], m[wire.SMB1HeaderSize+2] = byte(i+2), byte((i+2)>>8)
		}
		if err := c.sendSMB1(m, seq); err != nil {
			return err
		}
	}
	return c.hangUp
}

// sendSMB1 sends a message that is not in the out ring: of an answer that takes several.
func (c *Conn) sendSMB1(m []byte, seq uint32) error {
	b, err := c.reserve(len(m))
	if err != nil {
		return err
	}
	out := b[wire.FrameHeaderSize:]
	copy(out, m)
	c.signSMB1(out[:len(m)], seq)
	c.commit(b, len(m))
	return nil
}

// maxChain bounds the commands of one message.
const maxChain = 16

// measureSMB1 says how much room the answers to all commands of a message take at most. What is wrong with the chain
// is found again, and answered, when it is run. It is never more than the largest reply: then the answer to the last command gets
// less than it could take. fits is false if not even what has to be there of it has room behind the others.
func (c *Conn) measureSMB1(h wire.SMB1Header) (room int, fits bool, err error) {
	room = wire.SMB1HeaderSize
	fixed := 0 // of room, without what the last answer can grow by
	at, code := wire.SMB1HeaderSize, h.Command()
	for i := 0; i < maxChain; i++ {
		b := &c.smb1.measured
		if *b, err = h.Block(at); err != nil {
			if i == 0 {
				return 0, false, err
			}
			room, fixed = room+8, room+8 // it is refused
			break
		}
		cmd := &smb1Commands[code]
		room += 8 + cmd.fixed
		fixed = room
		if cmd.room != nil && b.HasWords(cmd.words) {
			room += cmd.room(c, h, b)
		}
		next, off, ok := nextAndX(cmd, b, at)
		if !ok || next == wire.SMB1NoAndX {
			break
		}
		at, code = off, next
	}
	return min(room, c.largestReply), fixed <= c.largestReply, nil
}

// nextAndX says which command follows one in a chain, and where; SMB1NoAndX if it is the last. ok is false if the chain
// does not go on behind where it is.
func nextAndX(cmd *smb1Command, b *wire.SMB1Block, at int) (next wire.SMB1Command, off int, ok bool) {
	if !cmd.andX || !b.HasWords(2) {
		return wire.SMB1NoAndX, 0, true
	}
	next, off = b.AndX()
	return next, off, next == wire.SMB1NoAndX || off > at
}

// answerSMB1 runs the commands of the message in hand, and reports whether it has an answer now. If there is no room for
// the answers to all of them, none is run.
func (c *Conn) answerSMB1(fits bool) bool {
	r, w := &c.smb1.req, &c.smb1.rep
	h := r.header()
	var status wire.Status
	if p := c.resumed; p != nil {
		r.seq, status = p.smb1.seq, p.refusal()
	} else {
		status = c.checkSignatureSMB1(r)
	}
	if status == wire.StatusOK && !fits {
		status = wire.StatusInsufficientResources
	}
	if status != wire.StatusOK {
		w.words(0)
		c.finishSMB1(r, w, status)
		return true
	}
	at := wire.SMB1HeaderSize
	r.code = h.Command()
	link := -1 // where the words of the command before begin
	for i := 1; ; i++ {
		cmd := &smb1Commands[r.code]
		if c.resumed == nil {
			c.srv.counters.smb1[r.code].Add(1)
		}
		var err error
		if r.block, err = h.Block(at); err != nil {
			status = wire.StatusInvalidSMB
		}
		next, off, ok := nextAndX(cmd, &r.block, at)
		r.last = link < 0 && next == wire.SMB1NoAndX
		w.n = w.at
		switch {
		case err != nil:
		case !ok || i >= maxChain && next != wire.SMB1NoAndX:
			status = wire.StatusInvalidSMB
		case cmd.run == nil:
			status = wire.StatusNotImplemented
			if !h.Has(wire.SMB1Flags2NTStatus) {
				status = wire.StatusSMBBadCommand
			}
		default:
			status = c.runSMB1(r, w, cmd)
		}
		if status == wire.StatusPending || w.silent || cmd.silent && status == wire.StatusOK {
			return false // is answered later, or never
		}
		if w.n == w.at { // a handler that has nothing to say writes nothing
			w.words(0)
		}
		if link >= 0 {
			w.msg[link], w.msg[link+2], w.msg[link+3] = byte(r.code), byte(w.at), byte(w.at>>8)
		}
		if status != wire.StatusOK || next == wire.SMB1NoAndX || c.hangUp != nil {
			break
		}
		link = w.at + 1
		r.frame = nil
		for w.n%4 != 0 {
			w.msg[w.n] = 0
			w.n++
		}
		w.at, at, r.code = w.n, off, next
	}
	c.finishSMB1(r, w, status)
	return true
}

// runSMB1 finds what a command needs, and runs it.
func (c *Conn) runSMB1(r *smb1Request, w *smb1Reply, cmd *smb1Command) wire.Status {
	if !r.block.HasWords(cmd.words) {
		return wire.StatusInvalidParameter
	}
	if status := c.resolveSMB1(r, w, cmd); status != wire.StatusOK {
		return status
	}
	if cmd.needs&needTree != 0 {
		if !r.tree.share.hold() {
			return wire.StatusNetworkNameDeleted
		}
		defer c.let(r.tree.share)
	}
	status := r.onOpen(func() wire.Status { return cmd.run(c, r, w) })
	if cmd.needs&changesNames != 0 {
		c.srv.tellChanges()
	}
	return status
}

// onOpen runs something with the request's open locked, if it has one: the request's process holds it meanwhile.
func (r *smb1Request) onOpen(run func() wire.Status) wire.Status {
	o := r.open
	if o == nil {
		return run()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return wire.StatusInvalidHandle
	}
	o.pid = r.pid
	return run()
}

// resolveSMB1 finds session, tree and open of a command. Those that a command earlier in the chain has made are its.
func (c *Conn) resolveSMB1(r *smb1Request, w *smb1Reply, cmd *smb1Command) wire.Status {
	s, h := c.smb1, r.header()
	if r.session == nil {
		if ch := s.sessions[h.UID()]; ch != nil && !ch.ended() {
			r.session, r.channel = ch.session, ch
		}
	}
	if r.tree == nil {
		r.tree = s.trees[h.TID()]
	}
	if cmd.needs&needSession != 0 && (r.session == nil || !r.session.isValid()) {
		return wire.StatusSMBBadUID
	}
	if cmd.needs&(needSession|whenExpired) == needSession && r.session.expired() {
		return wire.StatusNetworkSessionExpired // MS-SMB 3.3.5.1
	}
	if cmd.needs&needTree != 0 {
		switch {
		case r.tree == nil && cmd.needs&needOpen != 0:
			return wire.StatusInvalidHandle // its opens went with it
		case r.tree == nil:
			return wire.StatusSMBBadTID
		}
		if cmd.needs&needSession != 0 {
			if status := r.session.joinTree(r.tree); status != wire.StatusOK {
				if status == wire.StatusNetworkNameDeleted {
					c.endTreeSMB1(r.tree) // its searches, too, which hold the share's directory
				}
				return status
			}
		}
		if cmd.needs&needDisk != 0 && r.tree.isPipe() {
			return wire.StatusAccessDenied
		}
	}
	r.open = nil
	if cmd.needs&needOpen == 0 {
		return wire.StatusOK
	}
	return c.resolveFID(r, r.block.Word(cmd.fid))
}

// resolveFID finds an open. It is that of a session and a tree, MS-CIFS 3.3.5.2.
func (c *Conn) resolveFID(r *smb1Request, fid uint16) wire.Status {
	if r.chain {
		fid = r.fid
	}
	o := c.smb1.files[fid]
	if o == nil || o.session != r.session || o.tree != r.tree {
		return wire.StatusInvalidHandle
	}
	r.open = o
	return wire.StatusOK
}

// finishSMB1 completes an answer: header and signature.
func (c *Conn) finishSMB1(r *smb1Request, w *smb1Reply, status wire.Status) {
	h := wire.SMB1Header(w.msg)
	h.PutResponse(r.header())
	switch r.header().Command() {
	case wire.SMB1TransactionSecondary, wire.SMB1Transaction2Secondary, wire.SMB1NTTransactSecondary:
		h[4]-- // it is the transaction that is answered
	}
	h[9] |= w.flags
	h.PutStatus(status)
	if w.uid != 0 {
		h.PutUID(w.uid)
	}
	if w.tid != 0 {
		h.PutTID(w.tid)
	}
	c.signSMB1(w.msg[:w.n], r.seq)
	c.srv.counters.answerSMB1(r.code, status)
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("request", "command", smb1Commands[r.code].name, "message", h.MID(), "status", status.String(), "reply", w.n)
	}
}

// maxIDs is how many ids there are of a kind.
const maxIDs = 1<<16 - 2

// nextID finds an id that is free: not 0, which some clients take for none, and not 0xFFFF, which stands for all.
func nextID[T any](next *uint16, taken map[uint16]T) uint16 {
	for {
		*next++
		if _, ok := taken[*next]; !ok && *next != 0 && *next != 0xFFFF {
			return *next
		}
	}
}

// close ends what is not a session's.
func (s *smb1) close() error {
	var errs []error
	for sid := range s.searches {
		errs = append(errs, s.endSearch(sid))
	}
	clear(s.trees)
	clear(s.files)
	s.transactions = nil
	return errors.Join(errs...)
}

// forget drops the ids of opens that are closed.
func (s *smb1) forget() {
	for fid, o := range s.files {
		o.mu.Lock()
		closed := o.closed
		o.mu.Unlock()
		if closed {
			delete(s.files, fid)
		}
	}
}
