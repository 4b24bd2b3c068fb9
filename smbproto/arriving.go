package smbproto

import (
	"time"

	"ustack/smbproto/wire"
)

// arriving is a WRITE that is handled while it arrives: "If you can do anything
// with already recieved data [...] you'll simply do it" (the mail). What stands
// between the header and the data, the data, and what follows are taken out of the
// ring as they come.
type arriving struct {
	active bool
	head   [wire.WriteRequestFixed]byte // for the reply; its bytes have left the ring
	r      request
	status wire.Status // an error: the rest is only skipped
	open   *open
	begun  bool // its open knows of it: other channels' requests may come meanwhile

	skip int // bytes before the data
	data int // bytes of data
	tail int // bytes behind the data
	off  int64

	began time.Time // with Config.Latency
}

func (w *arriving) left() int { return w.skip + w.data + w.tail }

// mayArrive reports whether a message, of which the fixed part of a WRITE is there,
// is one that may go to its file before its end has come: not if its signature has to be
// verified first or it had to be encrypted, nor as part of a compound, nor for a pipe or a named
// stream. One that is encrypted must be whole to be decrypted.
func (c *Conn) mayArrive(msg []byte) bool {
	h := wire.Header(msg)
	if !wire.IsSMB2(msg) || h.Valid() != nil || h.Command() != wire.CommandWrite || h.NextCommand() != 0 ||
		h.Flags()&(wire.FlagSigned|wire.FlagRelated|wire.FlagServerToClient|wire.FlagAsync) != 0 {
		return false
	}
	sess := c.sessions[h.SessionID()]
	if sess == nil || sess.mustSign || sess.mustSeal {
		return false // refused, when it is whole
	}
	t := sess.tree(h.TreeID())
	return t != nil && !t.isPipe() && !t.share.Encrypt && !toStream(sess, wire.WriteRequest(msg))
}

// beginWrite takes the head of a WRITE of n bytes out of the ring.
func (c *Conn) beginWrite(head []byte, n int) error {
	w := &c.arriving
	*w = arriving{active: true, began: c.srv.startTimer()}
	copy(w.head[:], head)
	w.r = request{msg: w.head[:], cmd: wire.CommandWrite}
	c.chain = chain{fileID: wire.FileIDNone}
	if err := c.checkState(&w.r); err != nil {
		return err
	}
	if err := c.count(w.r.header()); err != nil {
		return err
	}
	c.a.In.Consume(wire.FrameHeaderSize + len(w.head))
	w.tail = n - len(w.head)
	if w.status = c.resolve(&w.r, false); w.status != wire.StatusOK {
		return nil
	}
	w.open = w.r.open
	w.open.mu.Lock()
	defer w.open.mu.Unlock()
	if w.open.closed || w.open.file == nil { // a pipe: another channel has connected a tree of this id to IPC$ since mayArrive looked
		w.status = wire.StatusFileClosed
		return nil
	}
	if w.status = c.checkSequence(&w.r); w.status != wire.StatusOK {
		return nil
	}
	if w.status = c.checkWrite(&w.r, n); w.status != wire.StatusOK {
		return nil
	}
	w.open.sequence.begin(w.r.header())
	w.begun = true
	req := wire.WriteRequest(w.head[:])
	w.off = int64(req.Offset())
	if w.data = int(req.Length()); w.data > 0 {
		w.skip = req.DataOffset() - len(w.head)
	}
	w.tail -= w.skip + w.data
	return nil
}

// writeArrived takes what has come of the WRITE in hand, and answers it when that
// was all. It returns how many bytes to wait for, or 0 when it is done.
func (c *Conn) writeArrived() (missing int, err error) {
	w, in := &c.arriving, c.a.In
	n := min(w.skip, in.Len())
	in.Consume(n)
	w.skip -= n
	if w.skip == 0 && w.data > 0 {
		b := in.Peek(w.data)
		if len(b) > 0 && len(b) < w.data && w.untouched() {
			c.srv.counters.writesArriving.Add(1)
		}
		c.writePiece(b)
	}
	if w.skip == 0 && w.data == 0 {
		n := min(w.tail, in.Len())
		in.Consume(n)
		w.tail -= n
	}
	if left := w.left(); left > 0 {
		return left, nil
	}
	return 0, c.endWrite()
}

// untouched reports whether none of the data has been taken yet.
func (w *arriving) untouched() bool {
	return w.data == int(wire.WriteRequest(w.head[:]).Length())
}

// writePiece writes a piece of the data from the ring to the file, and gives its
// place in the ring free.
func (c *Conn) writePiece(b []byte) {
	w := &c.arriving
	if w.status == wire.StatusOK && len(b) > 0 {
		w.open.mu.Lock()
		if w.open.closed {
			w.status = wire.StatusFileClosed
		} else if !c.srv.files.mayAccess(w.open, uint64(w.off), len(b), true) {
			w.status = wire.StatusFileLockConflict // locked since the WRITE began
		} else if w.status = w.mayExtend(); w.status != wire.StatusOK {
			// somebody else has appended since
		} else {
			n, err := w.open.file.WriteAt(b, w.off)
			w.status = wire.StatusOf(err)
			if n > 0 {
				w.open.modified() // at once: the rest may never come
			}
		}
		w.open.mu.Unlock()
	}
	w.off += int64(len(b))
	w.data -= len(b)
	c.a.In.Consume(len(b))
}

// mayExtend asks anew, of an open that may only append, whether nothing of the file is overwritten.
func (w *arriving) mayExtend() wire.Status {
	if w.open.access.Has(wire.AccessWriteData) {
		return wire.StatusOK
	}
	return mayAppend(w.open.file, uint64(w.off))
}

// leaveOpen ends what beginWrite began with the open.
func (w *arriving) leaveOpen() {
	if w.begun {
		w.open.mu.Lock()
		w.open.sequence.end(w.r.header())
		w.open.mu.Unlock()
	}
	w.open, w.begun = nil, false
}

// endWrite answers the WRITE in hand.
func (c *Conn) endWrite() error {
	w := &c.arriving
	w.active = false
	b, err := c.reserve(max(wire.WriteResponseSize, wire.ErrorSize))
	if err != nil {
		return err
	}
	req := wire.WriteRequest(w.head[:])
	if w.status == wire.StatusOK {
		w.open.mu.Lock()
		if w.open.closed {
			w.status = wire.StatusFileClosed
		} else if err := c.writeDone(w.open, req); err != nil {
			w.status = wire.StatusOf(err)
		}
		w.open.mu.Unlock()
	}
	w.leaveOpen()
	c.rep = reply{msg: b[wire.FrameHeaderSize:]}
	if w.status == wire.StatusOK {
		wire.WriteResponse(c.rep.msg).Put(req.Length())
		c.rep.n = wire.WriteResponseSize
	}
	c.finish(&w.r, &c.rep, w.status)
	c.sign(&w.r, c.rep.msg[:c.rep.n])
	c.commit(b, c.rep.n)
	c.rep = reply{}
	c.srv.stopTimer(wire.CommandWrite, w.began)
	return nil
}
