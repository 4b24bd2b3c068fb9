package smbproto

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"ustack/smbproto/auth"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// The events of Config.Audit, one line each: log-on, log-on refused, log-off, tree connect, create, delete, rename,
// link and set security. READ and WRITE have none, and ask for none.

// audited says whether a request is an event.
func (s *Server) audited(cmd wire.Command) bool {
	return s.cfg.Audit != nil && (cmd == wire.CommandCreate || cmd == wire.CommandSetInfo || cmd == wire.CommandTreeConnect)
}

// auditEvent writes a line of what a session did, or was refused.
func (s *Server) auditEvent(event string, sess *session, remote string, status wire.Status, more ...slog.Attr) {
	sess.mu.Lock()
	id := sess.identity
	sess.mu.Unlock()
	s.auditOf(event, sess, id, remote, status, more...)
}

func (s *Server) auditOf(event string, sess *session, id auth.Identity, remote string, status wire.Status, more ...slog.Attr) {
	attrs := append([]slog.Attr{
		slog.String("status", status.String()), slog.Any("session", hexID(sess.id)),
		slog.String("user", id.User), slog.String("domain", id.Domain), slog.Bool("guest", id.Guest), slog.String("remote", remote),
	}, more...)
	s.cfg.Audit.LogAttrs(context.Background(), slog.LevelInfo, event, attrs...)
}

// A hexID is a session's number as logs have it: as clients and captures show it.
type hexID uint64

// LogValue implements slog.LogValuer.
func (id hexID) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%#x", uint64(id))) }

// auditLogOn is about a log-on that has ended. claimed is who the client said that it was: what was refused is nobody else's word.
func (c *Conn) auditLogOn(sess *session, claimed auth.Identity, status wire.Status, cause error) {
	if c.srv.cfg.Audit == nil {
		return
	}
	workstation := slog.String("workstation", claimed.Workstation)
	if cause != nil {
		c.srv.auditOf("log-on refused", sess, claimed, c.remote, status, workstation, slog.String("cause", cause.Error()))
		return
	}
	c.srv.auditEvent("log-on", sess, c.remote, status, workstation, slog.String("dialect", c.dialect.String()))
}

// auditLogOff is about a session that has ended, for whatever reason.
func (s *session) auditLogOff() {
	s.mu.Lock()
	valid := s.valid
	s.mu.Unlock()
	if valid && s.srv.cfg.Audit != nil {
		s.srv.auditEvent("log-off", s, s.remote, wire.StatusOK)
	}
}

// runAudited is runResolved with a line of what it did. One that waits has its line when it is tried again.
func (c *Conn) runAudited(r *request, w *reply) wire.Status {
	was := ""
	if r.open != nil && r.open.file != nil {
		was = r.open.name() // of now: it may be renamed
	}
	status := c.runResolved(r, w)
	if status == wire.StatusPending {
		return status
	}
	switch r.cmd {
	case wire.CommandTreeConnect:
		if req := wire.TreeConnectRequest(r.msg); req.Valid() == nil {
			c.srv.auditEvent("tree connect", r.session, c.remote, status, slog.String("share", auditText(req.Path())))
		}
	case wire.CommandCreate:
		c.auditCreate(r, w, status)
	case wire.CommandSetInfo:
		c.auditSetInfo(r, was, status)
	}
	return status
}

// auditText is a name of a request as text, whatever is in it.
func auditText(raw []byte) string {
	s, err := wire.UTF16ToString(raw)
	if err != nil {
		return fmt.Sprintf("not UTF-16: %x", raw)
	}
	return s
}

// auditPath is a name of a request as a path from the share's root.
func auditPath(raw []byte) string { return `\` + strings.TrimPrefix(auditText(raw), `\`) }

func (c *Conn) auditCreate(r *request, w *reply, status wire.Status) {
	req := wire.CreateRequest(r.msg)
	if req.Valid() != nil {
		return
	}
	access, path := req.DesiredAccess(), auditPath(req.Name())
	if o := r.session.open(w.fileID); status == wire.StatusOK && o != nil {
		access = o.access // that it got
		if o.file != nil {
			path = o.name() // who comes back for an open may give it any
		}
	}
	c.auditCreation(r, path, access, req.Disposition(), req.Options(), status)
}

func (c *Conn) auditCreation(r *request, path string, access wire.Access, d wire.Disposition, options wire.CreateOptions, status wire.Status) {
	c.srv.auditEvent("create", r.session, c.remote, status,
		slog.String("share", r.tree.share.Name), slog.String("path", path), slog.String("access", fmt.Sprintf("%#x", uint32(access))),
		slog.String("disposition", d.String()), slog.String("options", fmt.Sprintf("%#x", uint32(options))))
}

func (c *Conn) auditSetInfo(r *request, was string, status wire.Status) {
	req := wire.SetInfoRequest(r.msg)
	if req.Valid() != nil {
		return
	}
	where := []slog.Attr{slog.String("share", r.tree.share.Name), slog.String("path", was)}
	class := wire.FileInfoClass(req.Class())
	switch {
	case req.Type() == wire.InfoFile && class == wire.FileDispositionInformation:
		if d := wire.DispositionInfo(req.Buffer()); d.Valid() == nil && d.Delete() {
			c.auditRefusal("delete", r, was, status)
		}
	case req.Type() == wire.InfoSecurity:
		c.srv.auditEvent("set security", r.session, c.remote, status, where...)
	case req.Type() != wire.InfoFile || class != wire.FileRenameInformation && class != wire.FileLinkInformation:
	default:
		event := "rename"
		if class == wire.FileLinkInformation {
			event = "link"
		}
		if b := wire.RenameInfo(req.Buffer()); b.Valid() == nil {
			where = append(where, slog.String("to", auditPath(b.Name())))
		}
		c.srv.auditEvent(event, r.session, c.remote, status, where...)
	}
}

// auditRefusal is about what was refused of that of which a line is written elsewhere where it is done. A name that was to be
// deleted is so only when its last open is closed.
func (c *Conn) auditRefusal(event string, r *request, path string, status wire.Status, more ...slog.Attr) {
	if c.srv.cfg.Audit == nil || status == wire.StatusOK || status == wire.StatusPending {
		return
	}
	where := []slog.Attr{slog.String("share", r.tree.share.Name), slog.String("path", path)}
	c.srv.auditEvent(event, r.session, c.remote, status, append(where, more...)...)
}

// auditRemoval is about a name that was deleted, or could not be, by its last close.
func (o *open) auditRemoval(f *vfs.File, err error) {
	srv := o.session.srv
	if srv.cfg.Audit == nil {
		return
	}
	path := f.Path().Backslashed()
	if f.Named() {
		path += ":" + f.Stream()
	}
	srv.auditEvent("delete", o.session, o.session.remote, wire.StatusOf(err), slog.String("share", o.tree.share.Name), slog.String("path", path))
}
