package smbproto

import (
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// readEAs reads a list of EAs that a client sends for a file of a share. Values are copied out
// of the ring.
func readEAs(b []byte, root *vfs.Root) ([]wire.EA, wire.Status) {
	list := wire.FullEAList(b)
	switch {
	case len(b) > wire.MaxEAs:
		return nil, wire.StatusEATooLarge
	case list.Valid() != nil:
		return nil, wire.StatusEAListInconsistent
	}
	var eas []wire.EA
	for flags, ea := range list.All() {
		if flags&^wire.EANeeded != 0 {
			return nil, wire.StatusInvalidEAName // MS-FSA 2.1.5.15.5
		}
		ea.Value = append([]byte(nil), ea.Value...)
		eas = append(eas, ea)
	}
	return eas, wire.StatusOf(root.CheckEAs(eas))
}

// setEAs: FileFullEaInformation, MS-FSA 2.1.5.15.5. That a client must know of an EA
// (FILE_NEED_EA) is not remembered. As with Windows, a file's EAs are neither set nor read by a stream of it.
func setEAs(o *open, b []byte) wire.Status {
	if o.file.Named() {
		return wire.StatusInvalidParameter
	}
	eas, status := readEAs(b, o.tree.share.root)
	if status != wire.StatusOK {
		return status
	}
	return wire.StatusOf(o.file.SetEAs(eas))
}

// setNewEAs sets the EAs that a CREATE asks for on what it has made or cut.
func (o *open) setNewEAs(eas []wire.EA) error {
	if len(eas) == 0 {
		return nil
	}
	return o.file.SetEAs(eas)
}

// readableEAs are the EAs, for a client that may read them.
func (o *open) readableEAs() ([]wire.EA, wire.Status) {
	switch {
	case !o.access.Has(wire.AccessReadEA):
		return nil, wire.StatusAccessDenied
	case o.file == nil || !o.file.HasEAs():
		return nil, wire.StatusEASNotSupported
	case o.file.Named():
		return nil, wire.StatusInvalidParameter // they are the file's
	}
	eas, err := o.file.EAs()
	return eas, wire.StatusOf(err)
}

// queryEAs: FileFullEaInformation, MS-FSA 2.1.5.12.10. Without a list of names, it goes on behind
// what the open was given before.
func (o *open) queryEAs(req wire.QueryInfoRequest, out []byte) (int, wire.Status) {
	eas, status := o.readableEAs()
	if status != wire.StatusOK {
		return 0, status
	}
	single := req.Flags()&wire.QueryReturnSingleEntry != 0
	if len(req.Input()) > 0 {
		return putNamedEAs(out, eas, req.Input(), single)
	}
	next := &o.nextEA
	switch {
	case req.Flags()&wire.QueryIndexSpecified != 0: // they are counted from 1
		if i := req.Additional(); i == 0 || uint64(i) > uint64(len(eas)) {
			return 0, wire.StatusNonexistentEAEntry
		}
		*next = int(req.Additional()) - 1
	case req.Flags()&wire.QueryRestartScan != 0:
		*next = 0
	}
	switch {
	case len(eas) == 0:
		return 0, wire.StatusNoEASOnFile
	case *next >= len(eas):
		return 0, wire.StatusNoMoreEAs
	}
	n, count, status := putEAs(out, eas[*next:], single)
	*next += count
	return n, status
}

// putEAs writes EAs until there is no more room.
func putEAs(out []byte, eas []wire.EA, single bool) (n, count int, status wire.Status) {
	w := wire.NewEAWriter(out)
	for _, ea := range eas {
		if !w.Put(ea.Name, ea.Value) {
			if count == 0 {
				return 0, 0, wire.StatusBufferTooSmall
			}
			return w.Len(), count, wire.StatusBufferOverflow
		}
		if count++; single {
			break
		}
	}
	return w.Len(), count, wire.StatusOK
}

// easByName finds EAs by their names, folded.
func easByName(eas []wire.EA) map[string]wire.EA {
	have := map[string]wire.EA{}
	for _, ea := range eas {
		have[wire.FoldEAName(ea.Name)] = ea
	}
	return have
}

// putNamedEAs writes the EAs that a client names, each once: with an empty value those that there
// are not.
func putNamedEAs(out []byte, eas []wire.EA, names wire.GetEAList, single bool) (int, wire.Status) {
	if names.Valid() != nil {
		return 0, wire.StatusEAListInconsistent
	}
	have := easByName(eas)
	var asked []wire.EA
	seen := map[string]bool{}
	for name := range names.All {
		fold := wire.FoldEAName(name)
		if !wire.ValidEAName(name) {
			return 0, wire.StatusInvalidEAName
		}
		if seen[fold] {
			continue
		}
		seen[fold] = true
		ea, ok := have[fold]
		if !ok {
			ea.Name = name
		}
		asked = append(asked, ea)
	}
	n, _, status := putEAs(out, asked, single)
	return n, status
}
