package smbproto

import (
	"log/slog"
	"strings"

	"ustack/smbproto/wire"
)

// The events of Config.Audit that SMB1's requests are. Those that wait have their line when they are tried again.

// auditCreateSMB1 is about a file that was opened or created, or could not be. What is opened for the length of one
// request, to look at it or to delete it, has no line of its own.
func (c *Conn) auditCreateSMB1(r *smb1Request, cr *creation, status wire.Status) {
	if c.srv.cfg.Audit == nil || status == wire.StatusPending {
		return
	}
	path := cr.path.Backslashed()
	if cr.stream != "" {
		path += ":" + cr.stream
	}
	c.auditCreation(&r.request, path, cr.access, cr.disposition, cr.options, status)
}

// auditMove is about a name that an open was given, or something else that was done to it.
func (c *Conn) auditMove(event string, o *open, was, to string, status wire.Status) {
	if c.srv.cfg.Audit == nil {
		return
	}
	where := []slog.Attr{slog.String("share", o.tree.share.Name), slog.String("path", was)}
	if to != "" {
		where = append(where, slog.String("to", `\`+strings.TrimPrefix(to, `\`)))
	}
	c.srv.auditEvent(event, o.session, c.remote, status, where...)
}

// renameAudited is rename with a line of it.
func (c *Conn) renameAudited(o *open, to string, replace bool) wire.Status {
	was := o.name()
	status := c.rename(o, wire.NewRenameInfo(to, replace))
	c.auditMove("rename", o, was, to, status)
	return status
}
