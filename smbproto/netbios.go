package smbproto

import (
	"fmt"
	"strings"

	"ustack/smbproto/wire"
)

// requestSession answers the session request at the head of the in ring, RFC 1002 4.3.2: what a client says first on port
// 139. It may come on any port, and be left out on any. b is what is there of it, and n its length without the header. A
// client that has called somebody else is refused, and may try the name that is everybody's on a new connection.
func (c *Conn) requestSession(b []byte, n int) (missing int, err error) {
	const longest = 2 * 256 // names with scopes, RFC 1001 14.1
	if n > longest {
		return 0, fmt.Errorf("%w: session request of %d bytes, at most %d allowed", wire.ErrMalformed, n, longest)
	}
	if c.named {
		return 0, fmt.Errorf("%w: a session request that is not the first that is said", wire.ErrMalformed)
	}
	if len(b) < wire.FrameHeaderSize+n {
		return wire.FrameHeaderSize + n, nil
	}
	called, calling, err := wire.SessionRequest(b[wire.FrameHeaderSize : wire.FrameHeaderSize+n]).Names()
	if err != nil {
		return 0, err
	}
	c.named = true
	c.a.In.Consume(wire.FrameHeaderSize + n)
	within := c.cfg.Limits.RequestTimeout
	if called != wire.NetBIOSServer && !strings.EqualFold(called, c.cfg.Auth.ServerName) {
		c.log.Info("session refused: the server has another name", "called", called, "calling", calling)
		if err := c.a.Out.Append(within, wire.SessionNotPresent[:]); err != nil {
			return 0, err
		}
		return 0, errHangUp
	}
	return 0, c.a.Out.Append(within, wire.SessionAccepted[:])
}
