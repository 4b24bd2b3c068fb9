package wire

// The three transactions of SMB1 are alike but for the width of their counts: TRANSACTION and TRANSACTION2 (MS-CIFS
// 2.2.4.33, 2.2.4.46) have words, NT_TRANSACT (2.2.4.62) double words. A request whose parameters and data do not fit into one
// message is continued by secondary ones (2.2.4.34, 2.2.4.47, 2.2.4.63).

// The least word counts of a primary request: of TRANSACTION and TRANSACTION2, and of NT_TRANSACT. The setup words follow.
const (
	SMB1TransWords   = 14
	SMB1NTTransWords = 19
)

// SMB1TransPart says which bytes of a transaction's parameters and data a message carries.
type SMB1TransPart struct {
	TotalParams, TotalData int
	Params, Data           []byte // in place
	ParamsAt, DataAt       int    // their displacements
}

// SMB1TransRequest is a primary request.
type SMB1TransRequest struct {
	SMB1TransPart
	MaxParams, MaxData int
	Function           uint16 // of NT_TRANSACT; else setup[0]
	Setup              []byte // setup words, in place
}

// part checks that what a message carries lies in it, and in the whole.
func (h SMB1Header) part(p *SMB1TransPart, params, paramsOff, data, dataOff int) error {
	var ok bool
	if p.Params, ok = h.Tail(paramsOff, params); !ok {
		return malformed("SMB1 parameters at %d, %d bytes long, in a message of %d", paramsOff, params, len(h))
	}
	if p.Data, ok = h.Tail(dataOff, data); !ok {
		return malformed("SMB1 data at %d, %d bytes long, in a message of %d", dataOff, data, len(h))
	}
	if p.ParamsAt < 0 || p.ParamsAt > p.TotalParams || params > p.TotalParams-p.ParamsAt ||
		p.DataAt < 0 || p.DataAt > p.TotalData || data > p.TotalData-p.DataAt {
		return malformed("SMB1 parameters %d+%d of %d, data %d+%d of %d",
			p.ParamsAt, params, p.TotalParams, p.DataAt, data, p.TotalData)
	}
	return nil
}

const maxInt31 = 1<<31 - 1

func clamp32(v uint32) int { return int(min(v, maxInt31)) }

// Transaction reads a primary request of TRANSACTION or TRANSACTION2.
func (h SMB1Header) Transaction(b *SMB1Block) (t SMB1TransRequest, err error) {
	if !b.HasWords(SMB1TransWords) {
		return t, malformed("SMB1 transaction of %d words", b.Count())
	}
	t.TotalParams, t.TotalData = int(b.Word(0)), int(b.Word(1))
	t.MaxParams, t.MaxData = int(b.Word(2)), int(b.Word(3))
	n := int(b.Byte(26))
	if b.Count() < SMB1TransWords+n {
		return t, malformed("SMB1 transaction with %d setup words, of %d words", n, b.Count())
	}
	t.Setup = b.Words[2*SMB1TransWords : 2*(SMB1TransWords+n)]
	if n > 0 {
		t.Function = le.Uint16(t.Setup)
	}
	return t, h.part(&t.SMB1TransPart, int(b.Word(9)), int(b.Word(10)), int(b.Word(11)), int(b.Word(12)))
}

// NTTransaction reads a primary request of NT_TRANSACT.
func (h SMB1Header) NTTransaction(b *SMB1Block) (t SMB1TransRequest, err error) {
	if !b.HasWords(SMB1NTTransWords) {
		return t, malformed("SMB1 NT transaction of %d words", b.Count())
	}
	t.TotalParams, t.TotalData = clamp32(b.U32(3)), clamp32(b.U32(7))
	t.MaxParams, t.MaxData = clamp32(b.U32(11)), clamp32(b.U32(15))
	n := int(b.Byte(35))
	if b.Count() < SMB1NTTransWords+n {
		return t, malformed("SMB1 NT transaction with %d setup words, of %d words", n, b.Count())
	}
	t.Function = le.Uint16(b.Words[36:])
	t.Setup = b.Words[2*SMB1NTTransWords : 2*(SMB1NTTransWords+n)]
	return t, h.part(&t.SMB1TransPart, clamp32(b.U32(19)), clamp32(b.U32(23)), clamp32(b.U32(27)), clamp32(b.U32(31)))
}

// TransactionSecondary reads a secondary request of TRANSACTION or TRANSACTION2.
func (h SMB1Header) TransactionSecondary(b *SMB1Block) (p SMB1TransPart, err error) {
	if !b.HasWords(8) {
		return p, malformed("SMB1 secondary transaction of %d words", b.Count())
	}
	p.TotalParams, p.TotalData = int(b.Word(0)), int(b.Word(1))
	p.ParamsAt, p.DataAt = int(b.Word(4)), int(b.Word(7))
	return p, h.part(&p, int(b.Word(2)), int(b.Word(3)), int(b.Word(5)), int(b.Word(6)))
}

// NTTransactionSecondary reads a secondary request of NT_TRANSACT.
func (h SMB1Header) NTTransactionSecondary(b *SMB1Block) (p SMB1TransPart, err error) {
	if !b.HasWords(18) {
		return p, malformed("SMB1 secondary NT transaction of %d words", b.Count())
	}
	p.TotalParams, p.TotalData = clamp32(b.U32(3)), clamp32(b.U32(7))
	p.ParamsAt, p.DataAt = clamp32(b.U32(19)), clamp32(b.U32(31))
	return p, h.part(&p, clamp32(b.U32(11)), clamp32(b.U32(15)), clamp32(b.U32(23)), clamp32(b.U32(27)))
}

// SMB1TransReply says which bytes of an answer's parameters and data a message carries.
type SMB1TransReply struct {
	NT                     bool
	Setup                  []byte
	TotalParams, TotalData int
	Params, ParamsOff      int // how many, where in the message
	ParamsAt               int // and in the whole
	Data, DataOff, DataAt  int
}

// Words is the word count of an answer.
func (r *SMB1TransReply) Words() int {
	if r.NT {
		return 18 + len(r.Setup)/2
	}
	return 10 + len(r.Setup)/2
}

// Put writes the words.
func (r *SMB1TransReply) Put(w []byte) {
	clear(w[:2*r.Words()])
	if r.NT {
		for i, v := range []int{r.TotalParams, r.TotalData, r.Params, r.ParamsOff, r.ParamsAt, r.Data, r.DataOff, r.DataAt} {
			le.PutUint32(w[3+4*i:], uint32(v))
		}
		w[35] = byte(len(r.Setup) / 2)
		copy(w[36:], r.Setup)
		return
	}
	for i, v := range []int{r.TotalParams, r.TotalData, 0, r.Params, r.ParamsOff, r.ParamsAt, r.Data, r.DataOff, r.DataAt} {
		le.PutUint16(w[2*i:], uint16(v))
	}
	w[18] = byte(len(r.Setup) / 2)
	copy(w[20:], r.Setup)
}
