package smbproto

import (
	"math"

	"ustack/smbproto/wire"
)

// setSparse: MS-FSA 2.1.5.10, FSCTL_SET_SPARSE. Without input the file becomes sparse. One that is not any more gets the room that it lacks.
func setSparse(o *open, in []byte) wire.Status {
	switch {
	case !o.access.Has(wire.AccessWriteData | wire.AccessAppendData | wire.AccessWriteAttributes):
		return wire.StatusAccessDenied
	case o.file.IsDir():
		return wire.StatusInvalidParameter
	}
	on := len(in) == 0 || in[0] != 0
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if !on && o.file.Sparse() {
		if err := o.file.Fill(); err != nil {
			return wire.StatusOf(err)
		}
	}
	return wire.StatusOf(o.file.SetSparse(on))
}

// setZeroData: MS-FSA 2.1.5.10, FSCTL_SET_ZERO_DATA. Of a sparse file the room is given back.
func (c *Conn) setZeroData(o *open, in []byte) wire.Status {
	req := wire.FileRange(in)
	switch {
	case !o.access.Has(wire.AccessWriteData):
		return wire.StatusAccessDenied
	case o.file.IsDir(), req.Valid() != nil, req.First() > req.Second():
		return wire.StatusInvalidParameter
	}
	length := req.Second() - req.First()
	if length == 0 {
		return wire.StatusOK
	}
	if !c.srv.files.mayAccess(o, uint64(req.First()), int(length), true) {
		return wire.StatusFileLockConflict
	}
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if err := o.file.Zero(req.First(), req.Second(), o.file.Sparse()); err != nil {
		return wire.StatusOf(err)
	}
	o.modified()
	return wire.StatusOf(o.settle(false))
}

// queryAllocatedRanges: MS-FSA 2.1.5.10, FSCTL_QUERY_ALLOCATED_RANGES. A file that is not sparse is one range. As many ranges are given as fit.
func queryAllocatedRanges(o *open, in, out []byte) (n int, status wire.Status) {
	req := wire.FileRange(in)
	switch {
	case !o.access.Has(wire.AccessReadData):
		return 0, wire.StatusAccessDenied
	case o.file.IsDir(), req.Valid() != nil, req.First() > math.MaxInt64-req.Second():
		return 0, wire.StatusInvalidParameter
	}
	if err := o.file.Stat(); err != nil {
		return 0, wire.StatusOf(err)
	}
	off, end := req.First(), min(req.First()+req.Second(), o.file.Size())
	for off < end {
		from, to := off, end
		if o.file.Sparse() {
			var ok bool
			var err error
			if from, to, ok, err = o.file.NextData(off, end); err != nil {
				return 0, wire.StatusOf(err)
			} else if !ok {
				break
			}
		}
		switch {
		case len(out)-n >= wire.FileRangeSize:
		case n == 0:
			return 0, wire.StatusBufferTooSmall
		default:
			return n, wire.StatusBufferOverflow
		}
		wire.PutAllocatedRange(out[n:], from, to-from)
		n, off = n+wire.FileRangeSize, to
	}
	return n, wire.StatusOK
}
