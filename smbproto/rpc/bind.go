package rpc

import (
	"encoding/binary"
	"slices"
)

const (
	bindHead    = headerSize + 12 // to the first context element
	contextHead = 4 + syntaxSize  // of an element, to its transfer syntaxes

	maxBindContexts = 32 // in one bind; Windows sends three
	maxContexts     = 64 // on one pipe
)

// Results of a context's negotiation, p_cont_def_result_t and p_provider_reason_t in C706
// 12.6.3.1; negotiateAck is MS-RPCE 2.2.2.4.
const (
	accepted          = 0
	providerRejection = 2
	negotiateAck      = 3

	reasonNone            = 0
	reasonAbstractSyntax  = 1
	reasonTransferSyntax  = 2
	reasonLocalLimit      = 3
	noFeatures            = 0 // bits of MS-RPCE 2.2.2.14, in the reason's place
	nakReasonNone         = 0
	nakLocalLimit         = 2
	nakAuthTypeUnknown    = 8 // MS-RPCE 2.2.2.5
	featureNegotiationLen = 8 // bytes of that UUID that are fixed; the others are the client's bits
)

// featureNegotiation begins the transfer syntax by which a client asks for
// bind time features, MS-RPCE 2.2.2.14: 6cb71c2c-9812-4540-...
var featureNegotiation = uuid(0x6cb71c2c, 0x9812, 0x4540, 0, 0)

// result is the answer to one context element.
type result struct {
	code, reason uint16
	transfer     syntax // zero unless accepted
}

// bind answers a bind or alter_context PDU.
func (p *Pipe) bind(h header, pdu []byte) error {
	if h.flags&(flagFirst|flagLast) != flagFirst|flagLast {
		return protocolError("bind in more than one fragment")
	}
	if len(pdu) < bindHead {
		return protocolError("bind of %d bytes, want at least %d", len(pdu), bindHead)
	}
	alter := h.ptype == typeAlterContext
	switch {
	case alter != p.bound:
		// One bind comes first, and after it only alter_context (C706 12.6.4.1).
		p.bindNak(h, nakReasonNone)
		return nil
	case h.authLen != 0:
		p.bindNak(h, nakAuthTypeUnknown)
		return nil
	case pdu[24] > maxBindContexts:
		p.bindNak(h, nakLocalLimit)
		return nil
	}
	results, err := p.negotiate(pdu[bindHead:], int(pdu[24]))
	if err != nil {
		return err
	}
	if !alter {
		p.bound = true
		p.maxXmit = clampFrag(binary.LittleEndian.Uint16(pdu[18:])) // the client's max_recv_frag
	}
	p.bindAck(h, pdu, results)
	return nil
}

func clampFrag(n uint16) int { return min(max(int(n), mustFrag), maxFrag) }

// negotiate judges each of n context elements (p_cont_elem_t).
func (p *Pipe) negotiate(b []byte, n int) ([]result, error) {
	results := make([]result, 0, n)
	for i := range n {
		if len(b) < contextHead {
			return nil, protocolError("bind ends in its context %d of %d", i+1, n)
		}
		id, transfers := binary.LittleEndian.Uint16(b), int(b[2])
		abstract := parseSyntax(b[4:])
		b = b[contextHead:]
		if len(b) < transfers*syntaxSize {
			return nil, protocolError("bind ends in the transfer syntaxes of its context %d of %d", i+1, n)
		}
		results = append(results, p.context(id, abstract, b[:transfers*syntaxSize]))
		b = b[transfers*syntaxSize:]
	}
	return results, nil
}

func (p *Pipe) context(id uint16, abstract syntax, transfers []byte) result {
	var speaksNDR bool
	for t := range slices.Chunk(transfers, syntaxSize) {
		if [featureNegotiationLen]byte(t) == [featureNegotiationLen]byte(featureNegotiation[:]) {
			return result{code: negotiateAck, reason: noFeatures}
		}
		speaksNDR = speaksNDR || parseSyntax(t) == ndr20
	}
	at := slices.IndexFunc(p.srv.ifaces, func(i *iface) bool { return i.serves(abstract) })
	switch {
	case at < 0:
		return result{code: providerRejection, reason: reasonAbstractSyntax}
	case !speaksNDR:
		return result{code: providerRejection, reason: reasonTransferSyntax}
	case len(p.contexts) >= maxContexts && p.contexts[id] == nil:
		return result{code: providerRejection, reason: reasonLocalLimit}
	}
	p.contexts[id] = p.srv.ifaces[at]
	return result{code: accepted, reason: reasonNone, transfer: ndr20}
}

// bindAck sends a bind_ack or alter_context_resp, C706 12.6.4.4 and 12.6.4.2.
func (p *Pipe) bindAck(h header, bind []byte, results []result) {
	le := binary.LittleEndian
	ptype, address := byte(typeBindAck), p.srv.pipeName+"\x00"
	if h.ptype == typeAlterContext {
		ptype, address = typeAlterResponse, ""
	}
	group := le.Uint32(bind[20:])
	if group == 0 {
		// The client asks for a new association group; 0 would mean that there is none.
		group = p.srv.groups.Add(1)
	}
	b := appendHeader(nil, ptype, flagFirst|flagLast, h.callID)
	b = le.AppendUint16(b, uint16(p.maxXmit))
	b = le.AppendUint16(b, uint16(clampFrag(le.Uint16(bind[16:]))))
	b = le.AppendUint32(b, group)
	b = le.AppendUint16(b, uint16(len(address)))
	b = append(b, address...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, byte(len(results)), 0, 0, 0)
	for _, r := range results {
		b = le.AppendUint16(b, r.code)
		b = le.AppendUint16(b, r.reason)
		b = r.transfer.append(b)
	}
	p.reply(setFragLen(b))
}

// bindNak refuses a bind, and says that version 5.0 is the one supported (C706 12.6.4.5).
func (p *Pipe) bindNak(h header, reason uint16) {
	b := appendHeader(nil, typeBindNak, flagFirst|flagLast, h.callID)
	b = binary.LittleEndian.AppendUint16(b, reason)
	p.reply(setFragLen(append(b, 1, 5, 0)))
}
