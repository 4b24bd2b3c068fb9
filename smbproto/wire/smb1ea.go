package wire

import "bytes"

// EAs in the older levels of SMB1 are a list that begins with its length, of entries without distances: SMB_FEA_LIST
// (MS-CIFS 2.2.1.2.2). Names that are asked for are in an SMB_GEA_LIST (2.2.1.2.1).

// SMB1EAListSize is what EAs take as SMB_FEA_LIST.
func SMB1EAListSize(list []EA) int {
	n := 4
	for _, ea := range list {
		n += 4 + len(ea.Name) + 1 + len(ea.Value)
	}
	return n
}

// PutSMB1EAs writes an SMB_FEA_LIST into b, which has room for SMB1EAListSize bytes.
func PutSMB1EAs(b []byte, list []EA) int {
	n := 4
	for _, ea := range list {
		b[n], b[n+1] = 0, byte(len(ea.Name))
		le.PutUint16(b[n+2:], uint16(len(ea.Value)))
		n += 4
		n += copy(b[n:], ea.Name)
		b[n] = 0
		n++
		n += copy(b[n:], ea.Value)
	}
	le.PutUint32(b, uint32(n))
	return n
}

// SMB1EAs reads an SMB_FEA_LIST. Values are in place.
func SMB1EAs(b []byte) (list []EA, err error) {
	rest, err := smb1List(b)
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		if len(rest) < 4 {
			return nil, malformed("SMB1 EA of %d bytes", len(rest))
		}
		name, value := int(rest[1]), int(le.Uint16(rest[2:]))
		if len(rest) < 4+name+1+value || bytes.IndexByte(rest[4:4+name+1], 0) != name {
			return nil, malformed("SMB1 EA with a name of %d bytes and a value of %d, in %d", name, value, len(rest))
		}
		at := 4 + name + 1
		list = append(list, EA{string(rest[4 : 4+name]), rest[at : at+value : at+value]})
		rest = rest[at+value:]
	}
	return list, nil
}

// SMB1EANames reads an SMB_GEA_LIST.
func SMB1EANames(b []byte) (names []string, err error) {
	rest, err := smb1List(b)
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		n := int(rest[0])
		if len(rest) < n+2 || rest[n+1] != 0 {
			return nil, malformed("SMB1 EA name of %d bytes, in %d", n, len(rest))
		}
		names = append(names, string(rest[1:1+n]))
		rest = rest[n+2:]
	}
	return names, nil
}

// smb1List cuts off a list that begins with its length, that included.
func smb1List(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, malformed("SMB1 list of %d bytes", len(b))
	}
	n := uint64(le.Uint32(b))
	if n < 4 || n > uint64(len(b)) {
		return nil, malformed("SMB1 list of %d bytes, in %d", n, len(b))
	}
	return b[4:n], nil
}
