package netstack

import (
	"fmt"

	"gvisor.dev/gvisor/pkg/buffer"
)

// Of payload that is lent gVisor needs the number of bytes, and nothing to read. It asks a
// reader for them all the same, into a chunk of its own, of up to 64 KiB, that it clears
// before: 8% of the server's CPU when it sends a file, and as much memory again as is on its way.
// So the reader says that it has one byte, is given the smallest chunk there is, and then
// claims to have read all. That is against what io.Reader asks for: where gVisor looked at
// such a view, an index would be out of range, and the process would end. It does so only to
// sum what the device does not sum, to cut what the device does not cut, and to deliver to an
// address of its own, and none of that is lent; and to show an endpoint that has asked for it
// (IP_RECVERR, which none of ours may) what could not be sent. findClaims tries what gVisor does do with it;
// where that does not hold, payload that goes out is copied.

// claimLen is how many of n bytes there are said to be.
func claimLen(n int) int { return min(n, 1) }

// claim is how many bytes are said to have been read into dst.
func claim(dst []byte, n int) int {
	if len(dst) == 0 {
		return 0
	}
	return n
}

// findClaims takes a claimed payload the way through gVisor's buffers that a segment takes.
func findClaims() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("netstack: claimed payload: %v", r)
		}
	}()
	const claimed, acked, cut = 60000, 1000, 500
	b, err := claimedBuffer(claimed)
	if err != nil {
		return err
	}
	defer b.Release()
	more, err := claimedBuffer(claimed)
	if err != nil {
		return err
	}
	b.Merge(&more) // a segment that takes the next one in, is acknowledged in part, sent and cut
	b.TrimFront(acked)
	sent := b.Clone()
	defer sent.Release()
	if err := sent.Prepend(buffer.NewViewSize(headChunk)); err != nil {
		return err
	}
	if got := sent.Size(); got != headChunk+2*claimed-acked {
		return fmt.Errorf("netstack: %d bytes with headers, want %d", got, headChunk+2*claimed-acked)
	}
	if b.Truncate(cut); b.Size() != cut {
		return fmt.Errorf("netstack: %d bytes are left of a segment that was cut to %d", b.Size(), cut)
	}
	return nil
}

// claimedBuffer is what gVisor makes of n claimed bytes.
func claimedBuffer(n int) (b buffer.Buffer, err error) {
	p := outPayload{lent: true, n: n}
	if _, err := b.WriteFromReader(&p, int64(p.Len())); err != nil {
		return b, err
	}
	views := b.AsViewList()
	if b.Size() != int64(n) || views.Front().Capacity() >= n {
		return b, fmt.Errorf("netstack: of %d bytes claimed %d are taken, into a chunk of %d", n, b.Size(), views.Front().Capacity())
	}
	return b, nil
}
