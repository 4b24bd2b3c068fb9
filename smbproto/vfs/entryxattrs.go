package vfs

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// shownXattrs are what is shown of the extended attributes of what x is of, of which st is known: what is kept, and with eas
// also how long its EAs are as a list, as EAs gives them. The names are asked for first then: most files have none of
// these, and cost one call either way. What the server may not read takes nothing: it must not keep a client from all else.
func (r *Root) shownXattrs(st *unix.Statx_t, x xattrs, eas bool) (k kept, eaSize uint32) {
	if !eas || !r.xattrs {
		return x.kept(st), 0
	}
	var common [commonNames]byte
	list, err := x.whole("", common[:])
	if err != nil {
		return x.kept(st), 0
	}
	k = keptOf(st)
	var names []string
	for len(list) > 0 {
		var raw []byte
		raw, list = cutName(list)
		name, users := bytes.CutPrefix(raw, []byte(eaPrefix))
		switch {
		case string(raw) == attributesName:
			k = x.kept(st)
		case users && listableEA(string(name)):
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	size := 0
	for _, name := range names {
		n, err := x.get(eaPrefix+name, nil)
		if err != nil || n == 0 || n > wire.MaxEAs {
			continue
		}
		with := wire.EAListWith(size, len(name), n)
		if with > wire.MaxEAs {
			break
		}
		size = with
	}
	return k, uint32(size)
}
