package auth

// The few pieces of DER (X.690) that SPNEGO needs: definite lengths and tags of one byte.

// Tags used by SPNEGO, RFC 4178 appendix A.
const (
	tagOctetString = 0x04
	tagOID         = 0x06
	tagEnumerated  = 0x0a
	tagGeneral     = 0x1b // GeneralString
	tagSequence    = 0x30
	tagApplication = 0x60 // [APPLICATION 0], RFC 2743 3.1
	tagContext     = 0xa0 // [0]; [n] is tagContext + n
)

// element is one DER element: its tag, its contents, and all of its bytes.
type element struct {
	tag  byte
	body []byte
	full []byte
}

// nextElement splits the first element off b.
func nextElement(b []byte) (e element, rest []byte, err error) {
	if len(b) < 2 {
		return e, nil, malformed("DER element of %d bytes, want at least 2", len(b))
	}
	tag, size, head := b[0], uint64(b[1]), 2
	if tag&0x1f == 0x1f {
		return e, nil, malformed("DER tag 0x%02x of more than one byte", tag)
	}
	if size >= 0x80 {
		// X.690 8.1.3.5: the low bits count the bytes of the length that follow.
		// 0x80, the indefinite form, is not DER.
		n := int(size & 0x7f)
		if n == 0 || n > 4 {
			return e, nil, malformed("DER length in %d bytes, want 1 to 4", n)
		}
		if len(b) < head+n {
			return e, nil, malformed("DER length cut short")
		}
		size = 0
		for _, c := range b[head : head+n] {
			size = size<<8 | uint64(c)
		}
		head += n
	}
	if size > uint64(len(b)-head) {
		return e, nil, malformed("DER element 0x%02x of %d bytes, but %d follow", tag, size, len(b)-head)
	}
	end := head + int(size)
	return element{tag: tag, body: b[head:end], full: b[:end]}, b[end:], nil
}

// wantElement is nextElement for an element that must have this tag.
func wantElement(b []byte, tag byte, what string) (e element, rest []byte, err error) {
	e, rest, err = nextElement(b)
	if err != nil {
		return e, nil, err
	}
	if e.tag != tag {
		return e, nil, malformed("%s has DER tag 0x%02x, want 0x%02x", what, e.tag, tag)
	}
	return e, rest, nil
}

// onlyElement reads the element with this tag that must fill b.
func onlyElement(b []byte, tag byte, what string) (element, error) {
	e, rest, err := wantElement(b, tag, what)
	if err != nil {
		return e, err
	}
	if len(rest) != 0 {
		return e, malformed("%d bytes after %s", len(rest), what)
	}
	return e, nil
}

// encode makes an element of the parts' concatenation.
func encode(tag byte, parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	out := append(make([]byte, 0, size+6), tag)
	switch {
	case size < 0x80:
		out = append(out, byte(size))
	case size < 0x100:
		out = append(out, 0x81, byte(size))
	case size < 0x10000:
		out = append(out, 0x82, byte(size>>8), byte(size))
	default:
		out = append(out, 0x84, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
