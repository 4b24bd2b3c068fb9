package smbproto

import (
	"log/slog"
	"strings"

	"ustack/smbproto/wire"
)

// wildcards are what a name of several files has in SMB1, MS-CIFS 2.2.1.1.2.
const wildcards = `*?<>"`

// lastOf is the last component of a path.
func lastOf(path string) string { return path[strings.LastIndexByte(path, '\\')+1:] }

// hasWildcards reports whether a path is that of several files. To POSIX it is one of no file that there can be here.
func (r *smb1Request) hasWildcards(path string) bool {
	return !r.posix() && strings.ContainsAny(lastOf(path), wildcards)
}

// namesOf calls do with the path of each entry of a directory that a pattern and the search attributes fit, and counts
// those for which it succeeds. The pattern is the last component of a path that path has made. If there are none, the
// status is of what kept it from one, or that there is no such file.
func (c *Conn) namesOf(r *smb1Request, path string, attrs uint16, do func(path string) wire.Status) wire.Status {
	s, status := c.beginSearchSMB1(r, path, attrs, rulesOf(r.posix()))
	if status != wire.StatusOK {
		return status
	}
	defer c.dropSearch(s)
	// All names first: to delete or rename what is being listed may list it twice.
	var names []string
	for {
		ok, err := s.next()
		if err != nil {
			return wire.StatusOf(err)
		}
		if !ok {
			break
		}
		if n := s.open.search.name; n != "." && n != ".." {
			names = append(names, n)
		}
	}
	dir := strings.TrimSuffix(path, lastOf(path))
	status, done := wire.StatusNoSuchFile, 0
	for _, n := range names {
		switch st := do(dir + n); st {
		case wire.StatusOK:
			done++
		case wire.StatusPending:
			return st // all of it is tried again, and finds those that are left
		default:
			status = st
		}
	}
	if done > 0 {
		return wire.StatusOK
	}
	return status
}

// fits reports whether a file's attributes are among those that a client searches for, MS-CIFS 2.2.1.2.4: hidden and
// system files and directories are found only if they are asked for, and the high byte says what there must be.
func fits(have wire.Attributes, attrs uint16) bool {
	const special = wire.AttributeHidden | wire.AttributeSystem | wire.AttributeDirectory
	must := wire.Attributes(attrs>>8) & (special | wire.AttributeReadOnly | wire.AttributeArchive)
	return have&special&^wire.Attributes(attrs) == 0 && have&must == must
}

// linkName gives a file that fits the search attributes another name, with a line of it.
func (c *Conn) linkName(r *smb1Request, from, to string, cr *creation, attrs uint16) wire.Status {
	from, to = r.path(from), r.path(to)
	status := c.withPathFor(r, from, cr, wire.AccessReadAttributes, func(o *open) wire.Status {
		if status := c.fillFitting(o, attrs); status != wire.StatusOK {
			return status
		}
		if r.tree.access&wire.AccessChanges == 0 {
			return wire.StatusAccessDenied
		}
		status := c.link(o, wire.NewRenameInfo(to, false))
		if status == wire.StatusOK {
			c.auditMove("link", o, o.name(), to, status)
		}
		return status
	})
	c.auditRefusal("link", &r.request, `\`+from, status, slog.String("to", `\`+to))
	return status
}

// fillFitting leaves in c.info what is to be said of what was opened by a name; there is no such file, if that does not
// fit the search attributes.
func (c *Conn) fillFitting(o *open, attrs uint16) wire.Status {
	if err := o.fill(&c.info); err != nil {
		return wire.StatusOf(err)
	}
	if !fits(c.info.Attributes, attrs) {
		return wire.StatusNoSuchFile
	}
	return wire.StatusOK
}

// deleteSMB1: MS-CIFS 2.2.4.7.
func (c *Conn) deleteSMB1(r *smb1Request, _ *smb1Reply) wire.Status {
	attrs := r.block.Word(0)
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	path := r.path(name)
	unlink := func(path string) wire.Status { return c.unlink(r, path, attrs) }
	if r.hasWildcards(path) {
		return c.namesOf(r, path, attrs&^uint16(wire.AttributeDirectory), unlink)
	}
	return unlink(path)
}

func (c *Conn) unlink(r *smb1Request, path string, attrs uint16) wire.Status {
	cr := creation{disposition: wire.Open, options: wire.OptionNonDirectory, removes: true, link: true}
	return c.removePath(r, path, &cr, func(o *open) wire.Status {
		if status := c.fillFitting(o, attrs); status != wire.StatusOK {
			return status
		}
		return c.doom(o)
	})
}

// renameSMB1: MS-CIFS 2.2.4.8.
func (c *Conn) renameSMB1(r *smb1Request, _ *smb1Reply) wire.Status {
	attrs := r.block.Word(0)
	from, to, status := r.twoPaths()
	if status != wire.StatusOK {
		return status
	}
	return c.renameNames(r, from, to, attrs)
}

func (c *Conn) renameNames(r *smb1Request, from, to string, attrs uint16) wire.Status {
	from, to = r.path(from), r.path(to)
	if strings.Contains(lastOf(from), ":") && !strings.HasPrefix(to, ":") {
		return wire.StatusInvalidParameter // a stream does not leave its file
	}
	move := func(path string) wire.Status {
		target := to
		if pattern := lastOf(to); r.hasWildcards(to) {
			target = strings.TrimSuffix(to, pattern) + fillWildcards(pattern, lastOf(path))
		}
		cr := creation{share: wire.ShareRead | wire.ShareWrite, disposition: wire.Open, link: true, removes: true}
		told := false
		status := c.withPathFor(r, path, &cr, wire.AccessDelete|wire.AccessReadAttributes, func(o *open) wire.Status {
			if status := c.fillFitting(o, attrs|uint16(wire.AttributeDirectory)); status != wire.StatusOK {
				return status
			}
			told = true
			return c.renameAudited(o, target, false)
		})
		if !told {
			c.auditRefusal("rename", &r.request, `\`+path, status, slog.String("to", `\`+strings.TrimPrefix(target, `\`)))
		}
		return status
	}
	if r.hasWildcards(from) {
		return c.namesOf(r, from, attrs, move)
	}
	return move(from)
}

// fillWildcards makes a name of a pattern and a name that another pattern has found, part by part: ? stands for the
// character at its place, * for the rest of its part.
func fillWildcards(pattern, name string) string {
	base, ext, dotted := cutExtension(pattern)
	nameBase, nameExt, _ := cutExtension(name)
	out := fillPart(base, nameBase)
	if dotted {
		out += "." + fillPart(ext, nameExt)
	}
	return strings.TrimSuffix(out, ".")
}

func cutExtension(name string) (base, ext string, dotted bool) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:], true
	}
	return name, "", false
}

func fillPart(pattern, part string) string {
	var out []rune
	from := []rune(part)
	for i, p := range []rune(pattern) {
		switch p {
		case '*', '<':
			return string(append(out, from[min(i, len(from)):]...))
		case '?', '>':
			if i < len(from) {
				out = append(out, from[i])
			}
		default:
			out = append(out, p)
		}
	}
	return string(out)
}

// What NT_RENAME can be asked for, MS-CIFS 2.2.4.66.1.
const (
	smb1RenameMoveClusters = 0x102
	smb1RenameLink         = 0x103
	smb1RenameFile         = 0x104
	smb1RenameCopy         = 0x105
)

// ntRename: MS-CIFS 2.2.4.66.
func (c *Conn) ntRename(r *smb1Request, _ *smb1Reply) wire.Status {
	attrs, kind := r.block.Word(0), r.block.Word(1)
	from, to, status := r.twoPaths()
	if status != wire.StatusOK {
		return status
	}
	if strings.ContainsAny(from, wildcards) || strings.ContainsAny(to, wildcards) {
		return wire.StatusObjectPathSyntaxBad
	}
	switch kind {
	case smb1RenameFile:
		return c.renameNames(r, from, to, attrs)
	case smb1RenameLink:
		return c.linkName(r, from, to, &creation{share: shareEverything, disposition: wire.Open}, attrs)
	case smb1RenameCopy:
		return c.copyName(r, from, to, attrs, wire.Create)
	case smb1RenameMoveClusters:
		return wire.StatusInvalidParameter
	}
	return wire.StatusAccessDenied
}
