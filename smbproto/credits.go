package smbproto

import (
	"fmt"

	"ustack/smbproto/wire"
)

// credits is the command sequence window of a connection, MS-SMB2 3.3.1.1: the
// message ids that the client may use, each once. They are those in [low, high)
// that are not marked used.
type credits struct {
	low, high uint64
	unused    int // ids in the window that are still to be used
	limit     int // the most of these
	used      [windowSpan / 64]uint64
}

// windowSpan bounds high-low: a client that leaves an id unused for longer gets no
// more credits until it uses it.
const windowSpan = 2 * DefaultMaxCredits

func newCredits(limit int) credits { return credits{high: 1, unused: 1, limit: limit} }

func (w *credits) isUsed(id uint64) bool {
	return w.used[id%windowSpan/64]&(1<<(id%64)) != 0
}

// take uses up the ids of a request, MS-SMB2 3.3.5.2.3. An error ends the connection.
func (w *credits) take(id uint64, charge int) error {
	charge = max(charge, 1)
	if id < w.low || id >= w.high || uint64(charge) > w.high-id {
		return fmt.Errorf("%w: message id %d, charge %d, outside of the window [%d, %d)", wire.ErrMalformed, id, charge, w.low, w.high)
	}
	for i := id; i < id+uint64(charge); i++ {
		if w.isUsed(i) {
			return fmt.Errorf("%w: message id %d is used a second time", wire.ErrMalformed, i)
		}
	}
	for i := id; i < id+uint64(charge); i++ {
		w.used[i%windowSpan/64] |= 1 << (i % 64)
	}
	w.unused -= charge
	for w.low < w.high && w.isUsed(w.low) {
		w.used[w.low%windowSpan/64] &^= 1 << (w.low % 64)
		w.low++
	}
	return nil
}

// grant widens the window by what the client asks for, within the limits, and by
// one at least if it would have none left (MS-SMB2 3.3.1.2).
func (w *credits) grant(asked int) uint16 {
	n := min(max(asked, 1), w.limit-w.unused, windowSpan-int(w.high-w.low))
	if n <= 0 {
		return 0
	}
	w.high += uint64(n)
	w.unused += n
	return uint16(n)
}

// chargeFor is the credit charge of a payload, MS-SMB2 3.3.5.2.5.
func chargeFor(payload int) int { return (max(payload, 1)-1)/65536 + 1 }
