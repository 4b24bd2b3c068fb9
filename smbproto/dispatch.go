package smbproto

import (
	"context"
	"log/slog"

	"ustack/smbproto/wire"
)

// request is one message of a frame, while it is being answered.
type request struct {
	msg     []byte // from its header to its end; while a WRITE arrives, only the fixed part
	cmd     wire.Command
	session *session
	channel *channel // of the session, or one that is to become one
	tree    *tree
	open    *open
	signed  bool   // the reply is to be signed
	frame   []byte // the message and what follows in its frame
	last    bool   // of its frame
	alone   bool   // in its frame
}

func (r *request) header() wire.Header { return wire.Header(r.msg) }

// reply is the place of one response in the out ring.
type reply struct {
	msg []byte // room for the header and the greatest body
	n   int    // what a handler has filled, header included; 0 means an error body

	async   uint64 // AsyncId of an interim answer, or of the final one after it
	session uint64 // ids for the header, where the request's are not right
	tree    uint32
	fileID  wire.FileID // for the requests that are related to this one
}

// needs are what must be there before a handler runs.
type needs uint8

const (
	needSession needs = 1 << iota
	needTree
	needOpen
	// canBeUnsigned exempts a request from a session's signing rule: it belongs to
	// no session yet, or has no answer.
	canBeUnsigned
	// changesNames: who watches a directory is told before the answer is sent.
	changesNames
	// whenExpired: the request does not need a ticket that is still good.
	whenExpired
	// needDisk: the tree's share has a directory, as IPC$ has not. Of SMB1.
	needDisk
)

// command is an entry of the dispatch table, in the manner of reply_* functions:
// what the request needs, what its answer takes at most, and the function.
type command struct {
	needs  needs
	size   int // structure size of the request; an odd one counts a byte that may be absent
	fileID int // where the FileId stands, from the header
	fixed  int // size of the greatest response, header included
	// room is added to fixed: what the request lets the response grow by. The
	// request's fixed part is there, and nothing else has been checked.
	room func(msg []byte) int
	run  func(c *Conn, r *request, w *reply) wire.Status
}

var commands = [wire.CommandCount]command{
	wire.CommandNegotiate:      {needs: canBeUnsigned, size: 36, fixed: wire.NegotiateFixed + maxToken, run: (*Conn).negotiate},
	wire.CommandSessionSetup:   {needs: canBeUnsigned, size: 25, fixed: wire.SessionSetupFixed + maxToken, run: (*Conn).sessionSetup},
	wire.CommandLogoff:         {needs: needSession | whenExpired, size: 4, fixed: wire.EmptySize, run: (*Conn).logoff},
	wire.CommandTreeConnect:    {needs: needSession, size: 9, fixed: wire.TreeConnectSize, run: (*Conn).treeConnect},
	wire.CommandTreeDisconnect: {needs: needSession | needTree, size: 4, fixed: wire.EmptySize, run: (*Conn).treeDisconnect},
	wire.CommandCreate:         {needs: needSession | needTree | changesNames, size: 57, fixed: createRoom, run: (*Conn).create},
	wire.CommandClose:          {needs: needSession | needTree | needOpen | changesNames | whenExpired, size: 24, fileID: 72, fixed: wire.CloseSize, run: (*Conn).close},
	wire.CommandFlush:          {needs: needSession | needTree | needOpen, size: 24, fileID: 72, fixed: wire.EmptySize, run: (*Conn).flush},
	wire.CommandRead:           {needs: needSession | needTree | needOpen, size: 49, fileID: 80, fixed: wire.ReadResponseData, room: readRoom, run: (*Conn).read},
	wire.CommandWrite:          {needs: needSession | needTree | needOpen, size: 49, fileID: 80, fixed: wire.WriteResponseSize, run: (*Conn).write},
	wire.CommandLock:           {needs: needSession | needTree | needOpen | whenExpired, size: 48, fileID: 72, fixed: wire.EmptySize, run: (*Conn).lock},
	wire.CommandIoctl:          {needs: needSession | needTree, size: 57, fixed: wire.IoctlFixed, room: ioctlRoom, run: (*Conn).ioctl},
	wire.CommandCancel:         {needs: canBeUnsigned, size: 4, fixed: wire.EmptySize, run: (*Conn).cancel},
	wire.CommandEcho:           {needs: canBeUnsigned, size: 4, fixed: wire.EmptySize, run: (*Conn).echo},
	wire.CommandQueryDirectory: {needs: needSession | needTree | needOpen, size: 33, fileID: 72, fixed: wire.OutputFixed, room: queryDirectoryRoom, run: (*Conn).queryDirectory},
	wire.CommandChangeNotify:   {needs: needSession | needTree | needOpen, size: 32, fileID: 72, fixed: wire.OutputFixed, run: (*Conn).changeNotify},
	wire.CommandQueryInfo:      {needs: needSession | needTree | needOpen, size: 41, fileID: 88, fixed: wire.ErrorValueSize, room: queryInfoRoom, run: (*Conn).queryInfo},
	wire.CommandSetInfo:        {needs: needSession | needTree | needOpen | changesNames, size: 33, fileID: 80, fixed: wire.SetInfoResponseSize, run: (*Conn).setInfo},
	wire.CommandOplockBreak:    {needs: needSession | needTree, size: 24, fixed: wire.LeaseAckSize, run: (*Conn).oplockBreak},
}

// unknownCommand is what no dialect has: it is refused, and what stands beside it in a compound is not.
var unknownCommand = command{needs: canBeUnsigned, run: func(*Conn, *request, *reply) wire.Status { return wire.StatusInvalidParameter }}

func commandOf(c wire.Command) *command {
	if c >= wire.CommandCount {
		return &unknownCommand
	}
	return &commands[c]
}

// maxToken is the largest security token that is sent. A challenge with the
// longest names takes less.
const maxToken = 8 << 10

// fixedPart reports whether the whole fixed body of the request has come.
func (cmd *command) fixedPart(msg []byte) bool {
	return len(msg) >= wire.HeaderSize+cmd.size&^1
}

// greatest is the size of the greatest response to msg, header included.
func (cmd *command) greatest(msg []byte) int {
	n := max(cmd.fixed, wire.ErrorSize)
	if cmd.room != nil && cmd.fixedPart(msg) {
		n += cmd.room(msg)
	}
	return n
}

// resolve finds what a request refers to, and checks its signature. verify says
// that the whole message is there to be verified.
func (c *Conn) resolve(r *request, verify bool) wire.Status {
	cmd := commandOf(r.cmd)
	h := r.header()
	related := h.Has(wire.FlagRelated)
	sessionID, treeID := h.SessionID(), h.TreeID()
	if related && c.chain.begun {
		sessionID, treeID = c.chain.session, c.chain.tree
	}
	switch ch := c.sessions[sessionID]; {
	case ch != nil && c.sealing != nil && ch != c.sealing:
		return wire.StatusAccessDenied // one session's key opens no other's door; see measure
	case ch != nil && !ch.ended():
		r.session, r.channel = ch.session, ch
	case ch != nil:
		r.channel = ch // so that the client can trust that it has ended
	case c.sealing == nil && (r.cmd == wire.CommandSessionSetup || cmd.needs&needSession != 0):
		r.channel = c.foreign(h, sessionID)
	}
	if related && !c.chain.begun {
		// Whose request it is decides whether the refusal is signed.
		if status := c.checkSignature(r, cmd, verify); status != wire.StatusOK {
			return status
		}
		return wire.StatusInvalidParameter // the first can't be related, MS-SMB2 3.3.5.2.7.2
	}
	if cmd.needs&needSession != 0 {
		if r.session == nil || !r.session.valid {
			c.checkSignature(r, cmd, verify)
			return wire.StatusUserSessionDeleted
		}
	}
	if status := c.checkSignature(r, cmd, verify); status != wire.StatusOK {
		return status
	}
	if cmd.needs&needSession != 0 || r.cmd == wire.CommandSessionSetup && r.session != nil { // of a log-on that is renewed
		if status := c.checkSealed(r); status != wire.StatusOK {
			return status
		}
	}
	if r.cmd == wire.CommandCancel {
		return wire.StatusOK
	}
	if cmd.needs&(needSession|whenExpired) == needSession && r.session.expired() {
		return wire.StatusNetworkSessionExpired // MS-SMB2 3.3.5.2.9
	}
	if !cmd.fixedPart(r.msg) {
		return wire.StatusInvalidParameter
	}
	if cmd.needs&needTree != 0 {
		if r.tree = r.session.tree(treeID); r.tree == nil {
			return wire.StatusNetworkNameDeleted
		}
		if status := c.checkSealed(r); status != wire.StatusOK {
			return status
		}
	}
	if cmd.needs&needOpen != 0 {
		return c.resolveOpen(r, wire.ReadFileID(r.msg[cmd.fileID:]))
	}
	return wire.StatusOK
}

// resolveOpen finds the open of a FileId; in a related request, that of the chain.
func (c *Conn) resolveOpen(r *request, id wire.FileID) wire.Status {
	if r.header().Has(wire.FlagRelated) {
		if c.chain.failed != wire.StatusOK {
			return c.chain.failed
		}
		if c.chain.fileID != wire.FileIDNone {
			id = c.chain.fileID
		}
	}
	if r.open = r.session.open(id); r.open == nil || r.open.tree != r.tree {
		r.open = nil
		return wire.StatusFileClosed
	}
	if r.cmd != wire.CommandClose {
		c.srv.files.used(r.open)
	}
	c.chain.fileID = id
	return wire.StatusOK
}

// run answers r into w, whose msg has room for the greatest response.
func (c *Conn) run(r *request, w *reply) wire.Status {
	began := c.srv.startTimer()
	defer c.srv.stopTimer(r.cmd, began)
	status := c.resolve(r, true)
	if status == wire.StatusOK {
		if c.srv.audited(r.cmd) {
			status = c.runAudited(r, w)
		} else {
			status = c.runResolved(r, w)
		}
		if commandOf(r.cmd).needs&changesNames != 0 {
			c.srv.tellChanges()
		}
	}
	return status
}

func (c *Conn) runResolved(r *request, w *reply) wire.Status {
	cmd := commandOf(r.cmd)
	if r.open == nil {
		return cmd.run(c, r, w)
	}
	// Another connection may end this session (PreviousSessionId): an open is used
	// under its lock, which nobody holds while waiting for a peer.
	r.open.mu.Lock()
	defer r.open.mu.Unlock()
	if r.open.closed {
		return wire.StatusFileClosed
	}
	if status := c.checkSequence(r); status != wire.StatusOK {
		return status
	}
	return cmd.run(c, r, w)
}

// finish completes the response: error body, header, credits. The length of the
// message is w.n.
func (c *Conn) finish(r *request, w *reply, status wire.Status) {
	if w.n == 0 {
		wire.PutError(w.msg)
		w.n = wire.ErrorSize
	}
	req := r.header()
	h := wire.Header(w.msg)
	h.PutResponse(req)
	h.PutStatus(status)
	if w.async == 0 || status == wire.StatusPending {
		h.PutCredits(c.credits.grant(int(req.Credits())))
	}
	if w.session != 0 {
		h.PutSessionID(w.session)
	}
	if w.tree != 0 {
		h.PutTreeID(w.tree)
	}
	if w.async != 0 {
		h.PutAsync(w.async)
	}
	c.srv.counters.answer(r.cmd, status)
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("request", "command", r.cmd.String(), "message", req.MessageID(), "status", status.String(), "reply", w.n)
	}
}

// count notes a request. Cancels take no credits, MS-SMB2 3.3.5.2.3.
func (c *Conn) count(h wire.Header) error {
	if h.Command() < wire.CommandCount {
		c.srv.counters.requests[h.Command()].Add(1)
	}
	if h.Command() == wire.CommandCancel {
		return nil
	}
	charge := 1
	if c.largeMTU {
		charge = int(h.CreditCharge())
	}
	return c.credits.take(h.MessageID(), charge)
}

// paid reports whether the request's credits cover a payload, MS-SMB2 3.3.5.2.5.
func (c *Conn) paid(r *request, payload int) bool {
	return !c.largeMTU || max(int(r.header().CreditCharge()), 1) >= chargeFor(payload)
}
