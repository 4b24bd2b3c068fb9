package rpc

import "unicode/utf16"

// levelKind sorts the levels of information about a share, MS-SRVS 2.2.3.6.
type levelKind int

const (
	levelUnknown levelKind = iota // not in the union: its arm is empty
	levelServed                   // 0 and 1, for everyone
	levelAdmin                    // has paths and descriptors, for administrators
	levelOther                    // in the union, not served
)

func shareLevel(level uint32) levelKind {
	switch level {
	case 0, 1:
		return levelServed
	case 2, 502, 503:
		return levelAdmin // MS-SRVS 3.1.4.8 and 3.1.4.10
	case 501, 1004, 1005, 1006, 1501:
		return levelOther
	}
	return levelUnknown
}

// status is the error for a level that is not served.
func (k levelKind) status() uint32 {
	switch k {
	case levelServed:
		return errorSuccess
	case levelAdmin:
		return errorAccessDenied
	}
	return errorInvalidLevel
}

// enumRequest is NetrShareEnum's input, MS-SRVS 3.1.4.8.
type enumRequest struct {
	level     uint32
	maxLength uint32 // in bytes; MAX_PREFERRED_LENGTH is all ones
	hasResume bool
	resume    uint32 // index of the first share to return
}

func decodeEnum(in *decoder) (r enumRequest) {
	in.uniqueStr() // ServerName: this server, whatever the client calls it
	r.level = in.u32()
	if tag := in.u32(); tag != r.level {
		in.fail("union of level %d in a structure of level %d", tag, r.level)
	}
	// SHARE_ENUM_UNION: a container that comes in empty, EntriesRead and Buffer.
	if shareLevel(r.level) != levelUnknown && in.pointer() {
		if count, buffer := in.u32(), in.pointer(); buffer {
			// MS-SRVS 3.1.4.8: entries are output only.
			if n := in.u32(); count != 0 || n != 0 {
				in.fail("%d share entries in a request", n)
			}
		}
	}
	r.maxLength = in.u32()
	if r.hasResume = in.pointer(); r.hasResume {
		r.resume = in.u32()
	}
	return r
}

// shareEnum is NetrShareEnum, MS-SRVS 3.1.4.8.
func (s *srvsvc) shareEnum(in *decoder, out *encoder) error {
	r := decodeEnum(in)
	if in.err != nil {
		return in.err
	}
	kind := shareLevel(r.level)
	out.u32(r.level)
	out.u32(r.level)
	if kind != levelServed {
		if kind != levelUnknown {
			out.null()
		}
		encodeEnumEnd(out, r, 0, 0, kind.status())
		return nil
	}
	all := s.shares()
	from := int(min(uint64(r.resume), uint64(len(all))))
	part, status := fit(all[from:], r)
	resume := 0
	if status != errorSuccess {
		resume = from + len(part)
	}
	encodeContainer(out, r.level, part)
	encodeEnumEnd(out, r, len(all)-from, resume, status)
	return nil
}

// fit returns the shares, from the first on, that the client's buffer and maxReply have room for.
func fit(shares []Share, r enumRequest) ([]Share, uint32) {
	room := min(int64(r.maxLength), maxReply*3/4)
	for i, s := range shares {
		if room -= entrySize(s, r.level); room >= 0 {
			continue
		}
		if i == 0 {
			return nil, nerrBufTooSmall
		}
		return shares[:i], errorMoreData
	}
	return shares, errorSuccess
}

// entrySize bounds what an entry takes on the wire.
func entrySize(s Share, level uint32) int64 {
	const stringHead = 4 + 12 + 4 // pointer, three counts, the zero and padding
	size := stringHead + 2*len(utf16.Encode([]rune(s.Name)))
	if level == 1 {
		size += 4 + stringHead + 2*len(utf16.Encode([]rune(s.Comment)))
	}
	return int64(size)
}

// encodeContainer writes SHARE_INFO_0_CONTAINER or SHARE_INFO_1_CONTAINER (MS-SRVS 2.2.4.32,
// 2.2.4.33): the array's fixed parts, and behind them all that they point to.
func encodeContainer(out *encoder, level uint32, shares []Share) {
	out.pointer()
	out.u32(uint32(len(shares)))
	out.pointer()
	out.u32(uint32(len(shares)))
	for _, s := range shares {
		encodeShareFixed(out, level, s)
	}
	for _, s := range shares {
		encodeShareStrings(out, level, s)
	}
}

// encodeShareFixed and encodeShareStrings write SHARE_INFO_0 or SHARE_INFO_1 (MS-SRVS 2.2.4.22, 2.2.4.23).
func encodeShareFixed(out *encoder, level uint32, s Share) {
	out.pointer()
	if level == 1 {
		out.u32(s.Type)
		out.pointer()
	}
}

func encodeShareStrings(out *encoder, level uint32, s Share) {
	out.str(s.Name)
	if level == 1 {
		out.str(s.Comment)
	}
}

// encodeEnumEnd writes TotalEntries, ResumeHandle and the return value.
func encodeEnumEnd(out *encoder, r enumRequest, total, resume int, status uint32) {
	out.u32(uint32(total))
	if r.hasResume {
		out.pointer()
		out.u32(uint32(resume))
	} else {
		out.null()
	}
	out.u32(status)
}
