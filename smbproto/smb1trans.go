package smbproto

import (
	"slices"
	"strings"

	"ustack/smbproto/wire"
)

// transaction is a request of TRANSACTION, TRANSACTION2 or NT_TRANSACT: its parameters and data are in the ring if they
// came in one message, and gathered in memory of their own if secondary requests follow.
type transaction struct {
	code               wire.SMB1Command
	uid, tid, mid      uint16
	pid                uint32
	name               string // of TRANSACTION
	fn                 uint16
	setup              []byte
	params, data       []byte
	haveParams         int // bytes that have come
	haveData           int
	maxParams, maxData int
}

// maxTransactions bounds the transactions of a connection whose secondary requests have not come, each of which may be
// as large as Limits.MaxTransact says.
const maxTransactions = 8

// transOut is the place of the answer to a transaction in the out ring: room for parameters and data, and how much of
// it was filled.
type transOut struct {
	params, data []byte
	np, nd       int
	setup        []byte
	w            *smb1Reply // for what waits
}

// transFunction is what answers a transaction.
type transFunction struct {
	name   string
	needs  needs
	params int // least bytes of parameters
	fid    int // where the FID stands in the setup; 0: it is the first of the parameters
	run    func(c *Conn, r *smb1Request, t *transaction, out *transOut) wire.Status
}

// maxTransParams is more than the parameters of any answer take, those of NOTIFY_CHANGE apart.
const maxTransParams = 128

// transFixed is the room for the parameters of an answer, and for what is around them and the data.
const transFixed = 80 + maxTransParams

// transRoom is what the data of the answer to a TRANSACTION or TRANSACTION2 takes at most.
func transRoom(c *Conn, h wire.SMB1Header, b *wire.SMB1Block) int {
	t, err := h.Transaction(b)
	if err != nil {
		return 0
	}
	return min(t.MaxData, c.maxTransact)
}

// ntTransRoom is that of NT_TRANSACT.
func ntTransRoom(c *Conn, h wire.SMB1Header, b *wire.SMB1Block) int {
	t, err := h.NTTransaction(b)
	if err != nil {
		return 0
	}
	return min(t.MaxData, c.maxTransact)
}

// transSecondaryRoom is that of the transaction which a secondary request belongs to.
func transSecondaryRoom(c *Conn, h wire.SMB1Header, _ *wire.SMB1Block) int {
	if i := c.smb1.pendingTransaction(h); i >= 0 {
		return c.smb1.transactions[i].maxData
	}
	return 0
}

// pendingTransaction finds the transaction that a secondary request goes on with, whose code is that of the primary one and
// one more; -1 if there is none.
func (s *smb1) pendingTransaction(h wire.SMB1Header) int {
	return slices.IndexFunc(s.transactions, func(t *transaction) bool {
		return t.code+1 == h.Command() && t.mid == h.MID() && t.pid == h.PID() && t.uid == h.UID() && t.tid == h.TID()
	})
}

// transact begins a transaction, MS-CIFS 2.2.4.33, 2.2.4.46 and 2.2.4.62.
func (c *Conn) transact(r *smb1Request, w *smb1Reply) wire.Status {
	h := r.header()
	var req wire.SMB1TransRequest
	var err error
	if r.code == wire.SMB1NTTransact {
		req, err = h.NTTransaction(&r.block)
	} else {
		req, err = h.Transaction(&r.block)
	}
	if err != nil {
		return wire.StatusInvalidParameter
	}
	if req.TotalParams > 1<<16 || req.TotalData > c.maxTransact {
		return wire.StatusInvalidParameter
	}
	t := transaction{
		code: r.code, uid: h.UID(), tid: h.TID(), mid: h.MID(), pid: h.PID(), fn: req.Function, setup: req.Setup,
		params: req.Params, data: req.Data, maxParams: req.MaxParams, maxData: min(req.MaxData, c.maxTransact),
	}
	if r.code == wire.SMB1Transaction {
		str := r.strings()
		if t.name, err = str.Next(); err != nil {
			return wire.StatusInvalidParameter
		}
	}
	if len(req.Params) == req.TotalParams && len(req.Data) == req.TotalData {
		return c.runTransaction(r, w, &t)
	}
	// More will come. What is in the ring now is copied: the one place where a request is.
	if len(c.smb1.transactions) >= maxTransactions || c.smb1.pendingTransaction(secondaryOf(h)) >= 0 {
		return wire.StatusInsuffServerResources
	}
	t.setup = slices.Clone(t.setup)
	t.params, t.data = make([]byte, req.TotalParams), make([]byte, req.TotalData)
	t.take(&req.SMB1TransPart)
	c.smb1.transactions = append(c.smb1.transactions, &t)
	return wire.StatusOK // with nothing in it: the interim answer, MS-CIFS 2.2.4.46
}

// secondaryOf is the header that the secondary requests of a primary one have.
func secondaryOf(h wire.SMB1Header) wire.SMB1Header {
	b := slices.Clone(h[:wire.SMB1HeaderSize])
	b[4]++
	return b
}

// take puts what a message carries where it belongs.
func (t *transaction) take(p *wire.SMB1TransPart) {
	copy(t.params[p.ParamsAt:], p.Params)
	copy(t.data[p.DataAt:], p.Data)
	t.haveParams += len(p.Params)
	t.haveData += len(p.Data)
}

// transactSecondary: MS-CIFS 2.2.4.34, 2.2.4.47 and 2.2.4.63. The last of them has the answer. Parts that overlap end the
// transaction, for what is whole by count would not be so.
func (c *Conn) transactSecondary(r *smb1Request, w *smb1Reply) wire.Status {
	h := r.header()
	i := c.smb1.pendingTransaction(h)
	if i < 0 {
		return wire.StatusInvalidParameter
	}
	t := c.smb1.transactions[i]
	var p wire.SMB1TransPart
	var err error
	if r.code == wire.SMB1NTTransactSecondary {
		p, err = h.NTTransactionSecondary(&r.block)
	} else {
		p, err = h.TransactionSecondary(&r.block)
	}
	// The totals may shrink (MS-CIFS 2.2.4.34.1).
	if err != nil || p.TotalParams > len(t.params) || p.TotalData > len(t.data) {
		c.smb1.transactions = slices.Delete(c.smb1.transactions, i, i+1)
		return wire.StatusInvalidParameter
	}
	t.params, t.data = t.params[:p.TotalParams], t.data[:p.TotalData]
	t.take(&p)
	if t.haveParams < len(t.params) || t.haveData < len(t.data) {
		w.silent = true // there is no answer to this part
		if c.smb1.signer != nil {
			c.smb1.seq-- // nor a number for one
		}
		return wire.StatusOK
	}
	c.smb1.transactions = slices.Delete(c.smb1.transactions, i, i+1)
	if t.haveParams > len(t.params) || t.haveData > len(t.data) {
		return wire.StatusInvalidParameter
	}
	r.code = t.code
	r.frame = nil // to be tried again, it would need the parts that came before
	return c.runTransaction(r, w, t)
}

// runTransaction runs a transaction that is whole, and answers it.
func (c *Conn) runTransaction(r *smb1Request, w *smb1Reply, t *transaction) wire.Status {
	var f *transFunction
	switch t.code {
	case wire.SMB1Transaction2:
		f = trans2Functions[t.fn]
	case wire.SMB1NTTransact:
		f = ntFunctions[t.fn]
	default:
		f = c.pipeFunction(r, t)
	}
	if f == nil {
		return wire.StatusNotImplemented
	}
	if f.needs&needDisk != 0 && r.tree.isPipe() {
		return wire.StatusAccessDenied
	}
	if len(t.params) < f.params {
		return wire.StatusInvalidParameter
	}
	if f.needs&needOpen != 0 {
		at := t.params
		if f.fid > 0 {
			at = t.setup[min(f.fid, len(t.setup)):]
		}
		if len(at) < 2 {
			return wire.StatusInvalidParameter
		}
		if status := c.resolveFID(r, wire.SMB1U16(at)); status != wire.StatusOK {
			return status
		}
	}
	return r.onOpen(func() wire.Status { return c.runFunction(r, w, t, f) })
}

// runFunction runs a function of a transaction whose open, if it needs one, is locked.
func (c *Conn) runFunction(r *smb1Request, w *smb1Reply, t *transaction, f *transFunction) wire.Status {
	nt := t.code == wire.SMB1NTTransact
	at := (w.at + 64 + 3) &^ 3 // behind the words of any answer, with its setup
	out := transOut{params: w.msg[at : at+maxTransParams], w: w}
	dataAt := at + maxTransParams
	out.data = w.msg[dataAt:min(len(w.msg), dataAt+t.maxData)]
	status := f.run(c, r, t, &out)
	if f.needs&changesNames != 0 {
		c.srv.tellChanges()
	}
	switch {
	case status == wire.StatusPending, status.IsDOS():
		return status
	case status.IsError() && (status != wire.StatusBufferTooSmall || out.np == 0):
		return status
	case status != wire.StatusOK && status != wire.StatusBufferOverflow && status != wire.StatusBufferTooSmall:
		out.np, out.nd = 0, 0 // a warning has a body, in which nothing is
	}
	putTrans(w, nt, out.setup, at, out.np, dataAt, out.nd)
	if w.n > c.smb1.maxBuffer && w.at == wire.SMB1HeaderSize { // behind others of a chain it comes whole
		c.splitTrans(w, nt, out.setup, slices.Clone(out.params[:out.np]), slices.Clone(out.data[:out.nd]))
	}
	return status
}

// putTrans writes what is around the parameters and the data of an answer, which lie where they are to be sent from.
func putTrans(w *smb1Reply, nt bool, setup []byte, paramsAt, params, dataAt, data int) {
	a := wire.SMB1TransReply{
		NT: nt, Setup: setup, TotalParams: params, TotalData: data, Params: params, Data: data, ParamsOff: paramsAt, DataOff: dataAt,
	}
	a.Put(w.words(a.Words()))
	clear(w.msg[w.n:paramsAt])
	clear(w.msg[paramsAt+params : dataAt])
	w.grow(dataAt + data - w.n)
}

// splitTrans writes an answer that the client takes in several messages only: the first into the place of the answer,
// the others into memory of their own.
func (c *Conn) splitTrans(w *smb1Reply, nt bool, setup, params, data []byte) {
	most := c.smb1.maxBuffer &^ 3
	for p, d := 0, 0; p < len(params) || d < len(data); {
		a := wire.SMB1TransReply{NT: nt, Setup: setup, TotalParams: len(params), TotalData: len(data), ParamsAt: p, DataAt: d}
		a.ParamsOff = (w.at + 1 + 2*a.Words() + 2 + 3) &^ 3
		a.Params = min(len(params)-p, most-a.ParamsOff)
		a.DataOff = (a.ParamsOff + a.Params + 3) &^ 3
		a.Data = max(min(len(data)-d, most-a.DataOff), 0)
		m := w
		if p+d > 0 {
			m = &smb1Reply{reply: reply{msg: make([]byte, a.DataOff+a.Data)}, at: w.at}
		}
		words := m.words(a.Words())
		a.Put(words)
		clear(m.msg[m.n:a.DataOff])
		copy(m.msg[a.ParamsOff:], params[p:p+a.Params])
		copy(m.msg[a.DataOff:], data[d:d+a.Data])
		m.grow(a.DataOff + a.Data - m.n)
		if m != w {
			w.more = append(w.more, m.msg[:m.n])
		}
		p, d = p+a.Params, d+a.Data
	}
}

// pipeFunction chooses what a TRANSACTION asks for: something of a pipe, or of the old remote administration.
func (c *Conn) pipeFunction(r *smb1Request, t *transaction) *transFunction {
	name := strings.ToUpper(t.name)
	switch {
	case !r.tree.isPipe(), !strings.HasPrefix(name, `\PIPE\`) && name != `\PIPE`:
		return nil
	case name == `\PIPE\LANMAN`:
		return &transFunction{name: "LANMAN", run: (*Conn).lanman}
	case len(t.setup) < 4:
		return nil
	}
	return pipeFunctions[t.fn]
}
