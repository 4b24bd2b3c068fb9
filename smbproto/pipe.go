package smbproto

import (
	"strings"

	"ustack/smbproto/rpc"
	"ustack/smbproto/wire"
)

// maxPipes bounds a connection's open pipes: each may hold a long reply.
const maxPipes = 16

// createPipe opens a named pipe of IPC$.
func (c *Conn) createPipe(r *request, w *reply, name string) wire.Status {
	o, status := c.openPipe(r, name)
	if status != wire.StatusOK {
		return status
	}
	return c.putCreate(w, wire.ActionOpened, o.id, &creation{}, &held{}, nil)
}

// openPipe opens it, and leaves in c.info what is to be said of it.
func (c *Conn) openPipe(r *request, name string) (*open, wire.Status) {
	pipe := c.srv.pipe(name)
	if pipe == nil {
		return nil, wire.StatusObjectNameNotFound
	}
	if c.pipeCount() >= maxPipes {
		return nil, wire.StatusPipeNotAvailable
	}
	o := &open{
		id: c.srv.newFileID(), session: r.session, conn: c, tree: r.tree,
		access: wire.AccessAll, pipe: pipe.Open(), sequence: sequence{number: r.header().ChannelSequence()},
	}
	if !r.session.addOpen(o) {
		return nil, wire.StatusUserSessionDeleted
	}
	c.info = o.pipeInfo()
	return o, wire.StatusOK
}

const pipePrefix = `\PIPE\`

// pipe finds a pipe by its name, in whatever case and with "\", "PIPE\" or "\PIPE\" before it, or without; nil if there is none.
func (s *Server) pipe(name string) *rpc.Server {
	name = strings.ToUpper(strings.TrimPrefix(name, `\`))
	return s.wholePipe(pipePrefix + strings.TrimPrefix(name, pipePrefix[1:]))
}

// wholePipe finds a pipe by its whole name, in whatever case; nil if there is none.
func (s *Server) wholePipe(name string) *rpc.Server {
	for _, p := range s.pipes {
		if strings.EqualFold(p.PipeName(), name) {
			return p
		}
	}
	return nil
}

// pipeInfo is what there is to be said of a pipe.
func (o *open) pipeInfo() wire.FileInfo {
	return wire.FileInfo{Attributes: wire.AttributeNormal, AllocationSize: 4096, Links: 1, Access: o.access, Name: o.pipe.Name()[len(pipePrefix)-1:]}
}

func (c *Conn) pipeCount() (n int) {
	for _, s := range c.sessions {
		n += s.pipes()
	}
	return n
}

// readPipe gives the next message of a pipe, or as much of it as fits.
func (o *open) readPipe(dst []byte) (int, wire.Status) {
	if o.pipe.Pending() == 0 {
		return 0, wire.StatusPipeEmpty
	}
	return o.takeMessage(dst)
}

// takeMessage is readPipe, also where there is none: it is empty then.
func (o *open) takeMessage(dst []byte) (int, wire.Status) {
	n, more := o.pipe.Read(dst)
	if more {
		return n, wire.StatusBufferOverflow
	}
	return n, wire.StatusOK
}

func (c *Conn) writePipe(o *open, data []byte) wire.Status {
	if err := o.pipe.Write(data); err != nil {
		c.log.Info("pipe broken", "cause", err)
		return wire.StatusPipeBroken
	}
	return wire.StatusOK
}

// transceive writes to a pipe and reads the answer, MS-SMB2 3.3.5.15.8.
func (c *Conn) transceive(o *open, in, out []byte) (int, wire.Status) {
	if o.pipe == nil {
		return 0, wire.StatusInvalidDeviceRequest
	}
	if o.pipe.Pending() > 0 {
		return 0, wire.StatusPipeBusy
	}
	if status := c.writePipe(o, in); status != wire.StatusOK {
		return 0, status
	}
	return o.takeMessage(out)
}
