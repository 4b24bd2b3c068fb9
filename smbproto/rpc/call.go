package rpc

import "encoding/binary"

// Fault status, C706 appendix E and MS-RPCE 2.2.2.11 (a Win32 error serves as well).
const (
	faultOpRange  = 0x1c010002 // nca_op_rng_error
	faultUnkIf    = 0x1c010003 // nca_unk_if
	faultNoMemory = 0x1c00001b // nca_s_fault_remote_no_memory
	faultAccess   = 0x00000005 // ERROR_ACCESS_DENIED
	faultBadStub  = 0x000006f7 // RPC_X_BAD_STUB_DATA
)

// call is a request whose fragments are coming in.
type call struct {
	open    bool
	id      uint32
	context uint16
	opnum   uint16
	stub    []byte
}

// request takes one fragment, and answers the call when it was the last one.
func (p *Pipe) request(h header, pdu []byte) error {
	at := responseHead
	if h.flags&flagObject != 0 {
		at += objectSize
	}
	if len(pdu) < at {
		return protocolError("request of %d bytes, want at least %d", len(pdu), at)
	}
	context, opnum := binary.LittleEndian.Uint16(pdu[20:]), binary.LittleEndian.Uint16(pdu[22:])
	first := h.flags&flagFirst != 0
	switch {
	case first == p.call.open:
		return protocolError("fragments of two calls mixed, or the first one missing")
	case first:
		p.call = call{open: true, id: h.callID, context: context, opnum: opnum}
	case h.callID != p.call.id || context != p.call.context || opnum != p.call.opnum:
		return protocolError("fragment of call %d, want call %d", h.callID, p.call.id)
	}
	if h.authLen != 0 {
		// There was no authentication in the bind that this could belong to.
		p.fault(h.callID, context, faultAccess, true)
		p.call = call{}
		return nil
	}
	if len(p.call.stub)+len(pdu)-at > maxRequest {
		return protocolError("request of more than %d bytes", maxRequest)
	}
	p.call.stub = append(p.call.stub, pdu[at:]...)
	if h.flags&flagLast != 0 {
		c := p.call
		p.call = call{}
		p.dispatch(c)
	}
	return nil
}

// dispatch finds and runs the operation.
func (p *Pipe) dispatch(c call) {
	i := p.contexts[c.context]
	if i == nil {
		p.fault(c.id, c.context, faultUnkIf, true)
		return
	}
	op := i.ops[c.opnum]
	if op == nil {
		p.fault(c.id, c.context, faultOpRange, true)
		return
	}
	in, out := decoder{b: c.stub}, encoder{}
	err := op(&in, &out)
	switch {
	case err != nil || in.err != nil:
		p.fault(c.id, c.context, faultBadStub, false)
	case len(out.b) > maxReply:
		p.fault(c.id, c.context, faultNoMemory, false)
	default:
		p.respond(c, out.b)
	}
}

// respond sends the reply in fragments of at most maxXmit bytes, C706 12.6.4.10.
func (p *Pipe) respond(c call, stub []byte) {
	// All stubs but the last are a multiple of 8, so that alignment in a
	// fragment is alignment in the whole (C706 12.6.3.4).
	size := (p.maxXmit - responseHead) &^ 7
	flags := byte(flagFirst)
	for {
		n := min(size, len(stub))
		if n == len(stub) {
			flags |= flagLast
		}
		b := appendHeader(make([]byte, 0, responseHead+n), typeResponse, flags, c.id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(stub))) // alloc_hint: what is left
		b = binary.LittleEndian.AppendUint16(b, c.context)
		b = append(b, 0, 0)
		p.reply(setFragLen(append(b, stub[:n]...)))
		stub, flags = stub[n:], 0
		if len(stub) == 0 {
			return
		}
	}
}

// fault answers a call that gave no reply, C706 12.6.4.7. notRun says that the operation was never begun.
func (p *Pipe) fault(callID uint32, context uint16, status uint32, notRun bool) {
	flags := byte(flagFirst | flagLast)
	if notRun {
		flags |= flagDidNotExecute
	}
	b := appendHeader(nil, typeFault, flags, callID)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint16(b, context)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, status)
	p.reply(setFragLen(append(b, 0, 0, 0, 0)))
}
