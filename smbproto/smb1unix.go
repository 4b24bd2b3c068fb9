package smbproto

import (
	"os"

	"ustack/smbproto/wire"
)

// The UNIX extensions: what POSIX knows of files, asked for by its names. They take names as they stand, and follow no link
// (vfs.How.Exact): a link is an entry whose text clients read.

// unixCapabilities are what clients are told that can be done.
const unixCapabilities = wire.SMB1UnixPathnames | wire.SMB1UnixPathOps

// setFS: a client says which of the capabilities it will use, in this tree. Nothing is changed by the extensions for one that
// has not said so.
func (c *Conn) setFS(r *smb1Request, t *transaction, _ *transOut) wire.Status {
	if wire.SMB1U16(t.params[2:]) != wire.SMB1FsUnix {
		return wire.StatusInvalidLevel
	}
	major, capabilities, err := wire.SMB1UnixFs(t.data)
	switch {
	case err != nil:
		return wire.StatusInvalidParameter
	case major != 1:
		return wire.StatusNotSupported
	}
	r.tree.unix = true
	r.tree.posix = capabilities&wire.SMB1UnixPathnames != 0
	return wire.StatusOK
}

// queryWho says who the client is to descriptors, and to Linux, where it is whoever serves.
func (c *Conn) queryWho(r *smb1Request, out *transOut) (status wire.Status) {
	token, who := r.session.token.Load(), r.session.who()
	sids := []string{string(token.User)}
	for _, g := range token.Groups {
		sids = append(sids, string(g))
	}
	out.nd, status = wire.PutSMB1Who(out.data, who.Guest || who.Anonymous, uint32(os.Geteuid()), uint32(os.Getegid()), sids)
	return status
}

// queryUnixPath says of what has a name, be it a link, what one of the extensions' levels asks for.
func (c *Conn) queryUnixPath(r *smb1Request, name string, level uint16, out *transOut) wire.Status {
	cr := creation{share: shareEverything, disposition: wire.Open, exact: true, link: true}
	return c.withPathFor(r, name, &cr, wire.AccessReadAttributes, func(o *open) wire.Status {
		wire.PutSMB1U16(out.params, 0) // no EA is wrong
		out.np = 2
		return c.queryUnix(r, o, level, out)
	})
}

// queryUnix says it of an open.
func (c *Conn) queryUnix(r *smb1Request, o *open, level uint16, out *transOut) (status wire.Status) {
	if o.file == nil || o.named {
		return wire.StatusInvalidLevel
	}
	if err := o.fill(&c.info); err != nil {
		return wire.StatusOf(err)
	}
	if level != wire.SMB1InfoUnixLink {
		out.nd, status = c.info.PutSMB1Unix(out.data, level)
		return status
	}
	text, err := o.file.Text()
	if err != nil {
		return wire.StatusOf(err)
	}
	out.nd, status = wire.PutSMB1Text(out.data, text, r.unicode())
	return status
}
