package smbproto

import (
	"errors"
	"io/fs"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// readEAsSMB1 reads an SMB_FEA_LIST, as readEAs does a list in SMB2's form.
func readEAsSMB1(b []byte, root *vfs.Root) ([]wire.EA, wire.Status) {
	eas, err := wire.SMB1EAs(b)
	if err != nil || len(b) > wire.MaxEAs {
		return nil, wire.StatusInvalidParameter
	}
	for i := range eas {
		eas[i].Value = append([]byte(nil), eas[i].Value...)
	}
	return eas, wire.StatusOf(root.CheckEAs(eas))
}

// setEAsSMB1 sets the EAs of an SMB_FEA_LIST.
func setEAsSMB1(o *open, b []byte) wire.Status {
	switch {
	case !o.access.Has(wire.AccessWriteEA):
		return wire.StatusAccessDenied
	case o.file.Named():
		return wire.StatusInvalidParameter
	}
	eas, status := readEAsSMB1(b, o.tree.share.root)
	if status != wire.StatusOK {
		return status
	}
	return wire.StatusOf(o.file.SetEAs(eas))
}

// queryEAsSMB1 gives the EAs that the client names, or all.
func queryEAsSMB1(o *open, level uint16, in []byte, out *transOut) wire.Status {
	eas, status := o.readableEAs()
	if status != wire.StatusOK {
		return status
	}
	if level == wire.SMB1InfoEAList {
		names, err := wire.SMB1EANames(in)
		if err != nil {
			return wire.StatusInvalidParameter
		}
		eas = namedEAs(eas, names)
	}
	if wire.SMB1EAListSize(eas) > len(out.data) {
		return wire.StatusBufferOverflow
	}
	out.nd = wire.PutSMB1EAs(out.data, eas)
	return wire.StatusOK
}

// namedEAs are those of a list of names, in its order: with an empty value those that there are not.
func namedEAs(eas []wire.EA, names []string) (list []wire.EA) {
	have := easByName(eas)
	for _, name := range names {
		ea, ok := have[wire.FoldEAName(name)]
		if !ok {
			ea.Name = name
		}
		list = append(list, ea)
	}
	return list
}

// sizeOfEAs is what EAs take as an SMB1 list, none nothing.
func sizeOfEAs(eas []wire.EA) uint32 {
	if len(eas) == 0 {
		return 0
	}
	return uint32(wire.SMB1EAListSize(eas))
}

// sizeEAs is what a file's EAs take. Those that the server may not read take nothing: they must not keep a client from all
// else.
func sizeEAs(o *open) (uint32, error) {
	eas, err := o.file.EAs()
	if errors.Is(err, fs.ErrPermission) {
		return 0, nil
	}
	return sizeOfEAs(eas), err
}
