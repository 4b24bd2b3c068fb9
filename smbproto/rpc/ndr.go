package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// errStub: a request's stub data do not fit the operation. It becomes a fault.
var errStub = errors.New("malformed stub data")

// decoder reads little-endian NDR (C706 chapter 14). The first error stays, and all that
// is read after it is zero, so that an operation checks once.
type decoder struct {
	b   []byte
	at  int
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: at %d: "+format, append([]any{errStub, d.at}, args...)...)
	}
}

// take returns the next n bytes after aligning to align, a power of two.
func (d *decoder) take(n, align int) []byte {
	start := (d.at + align - 1) &^ (align - 1)
	if d.err != nil || start > len(d.b) || n > len(d.b)-start {
		d.fail("%d bytes wanted of %d", n, len(d.b))
		return nil
	}
	d.at = start + n
	return d.b[start:d.at]
}

func (d *decoder) u32() uint32 {
	b := d.take(4, 4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// pointer reads a unique pointer's referent; false is the null pointer.
func (d *decoder) pointer() bool { return d.u32() != 0 }

// str reads a [string] wchar_t*: conformant and varying, with its zero (C706 14.3.4.2).
func (d *decoder) str() string {
	size, offset, actual := d.u32(), d.u32(), d.u32()
	if d.err == nil && (offset != 0 || actual > size || actual == 0) {
		d.fail("string of %d units from %d in an array of %d", actual, offset, size)
	}
	if d.err != nil {
		return ""
	}
	if actual > maxRequest {
		d.fail("string of %d units", actual)
		return ""
	}
	b := d.take(2*int(actual), 2)
	if b == nil {
		return ""
	}
	units := make([]uint16, actual)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	if units[actual-1] != 0 {
		d.fail("string without its zero")
		return ""
	}
	return string(utf16.Decode(units[:actual-1]))
}

// uniqueStr reads a [unique, string] wchar_t* parameter; null is the empty string.
func (d *decoder) uniqueStr() string {
	if !d.pointer() {
		return ""
	}
	return d.str()
}

// encoder writes little-endian NDR.
type encoder struct {
	b        []byte
	referent uint32
}

func (e *encoder) align(n int) {
	for len(e.b)%n != 0 {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) u32(v uint32) {
	e.align(4)
	e.b = binary.LittleEndian.AppendUint32(e.b, v)
}

// pointer writes the referent of a pointer that is not null: any value that occurs once.
func (e *encoder) pointer() {
	e.referent += 4
	e.u32(0x00020000 + e.referent)
}

func (e *encoder) null() { e.u32(0) }

// str writes a [string] wchar_t* with its zero.
func (e *encoder) str(s string) {
	units := append(utf16.Encode([]rune(s)), 0)
	n := uint32(len(units))
	e.u32(n)
	e.u32(0)
	e.u32(n)
	for _, u := range units {
		e.b = binary.LittleEndian.AppendUint16(e.b, u)
	}
}
