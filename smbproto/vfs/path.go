package vfs

import (
	"strings"
	"unicode/utf8"
)

// A Path is relative to a share's root, with slashes, and clean: no empty, "." or
// ".." component, none that a client may not name. The root is "".
type Path string

// maxComponent is NAME_MAX; maxDepth bounds what one path costs to resolve.
const (
	maxComponent = 255
	maxDepth     = 128
)

// ParsePath takes a name as it stands in a CREATE or a rename, with backslashes
// (MS-SMB2 2.2.13, MS-FSCC 2.1.5). The default stream's suffix is taken off; of other
// streams ParseName knows. A component ".." takes back the one before it, of whatever that is the name, and never
// leads out: clients should not send it (MS-FSCC 2.1.5.1), and Windows' server takes it so.
func ParsePath(name string) (Path, error) {
	name = strings.TrimSuffix(name, "::$DATA")
	name = strings.TrimSuffix(name, `\`)
	if name == "" {
		return "", nil
	}
	parts := strings.Split(name, `\`)
	if len(parts) > maxDepth {
		return "", pathError("parse", name, ErrName)
	}
	clean := parts[:0]
	for _, p := range parts {
		switch {
		case p == ".." && len(clean) == 0:
			return "", pathError("parse", name, ErrDotDot)
		case p == "..":
			clean = clean[:len(clean)-1]
		case !Nameable(p):
			return "", pathError("parse", name, ErrName)
		default:
			clean = append(clean, p)
		}
	}
	return Path(strings.Join(clean, "/")), nil
}

// Nameable reports whether a client can ask for a file of this name: no reserved
// or control character (MS-FSCC 2.1.5.2), valid UTF-8, not "." or "..". Files that are
// not nameable are not listed either.
func Nameable(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > maxComponent || !utf8.ValidString(name) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c < 0x20 || strings.IndexByte(`"*/:<>?\|`, c) >= 0 {
			return false
		}
	}
	return true
}

// Split gives the directory and the last component.
func (p Path) Split() (dir Path, base string) {
	i := strings.LastIndexByte(string(p), '/')
	if i < 0 {
		return "", string(p)
	}
	return p[:i], string(p[i+1:])
}

// Join adds a component.
func (p Path) Join(base string) Path {
	if p == "" {
		return Path(base)
	}
	return p + "/" + Path(base)
}

// Backslashed is the path as clients write it, from the root: "\a\b".
func (p Path) Backslashed() string {
	return `\` + strings.ReplaceAll(string(p), "/", `\`)
}

// Dot is the path for a system call, where the root is ".".
func (p Path) dot() string {
	if p == "" {
		return "."
	}
	return string(p)
}
