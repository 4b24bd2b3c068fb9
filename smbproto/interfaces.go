package smbproto

import (
	"net"
	"net/netip"

	"ustack/smbproto/wire"
)

// Interface is an address at which clients may connect.
type Interface = wire.NetworkInterface

// DefaultLinkSpeed is what is told of an interface whose speed nobody knows, bits per second.
const DefaultLinkSpeed = 1_000_000_000

// maxInterfaces bounds the list, to what fits the room of an answer.
const maxInterfaces = maxIoctlOutput / wire.NetworkInterfaceSize

// networkInterfaces: MS-SMB2 3.3.5.15.11. Clients ask where else they may connect, to get more channels.
func (c *Conn) networkInterfaces(req wire.IoctlRequest, out []byte) (int, wire.Status) {
	switch {
	case !c.multiChannel():
		return 0, wire.StatusInvalidDeviceRequest
	case req.FileID() != wire.FileIDNone:
		return 0, wire.StatusInvalidParameter
	}
	list := c.interfaces()
	if len(out) < wire.NetworkInterfaceSize*len(list) {
		return 0, wire.StatusBufferTooSmall
	}
	return wire.PutNetworkInterfaces(out, list), wire.StatusOK
}

func (c *Conn) multiChannel() bool {
	return c.dialect >= wire.Dialect300 && c.cfg.Limits.MaxChannels > 1
}

// interfaces are those of the configuration, or else the address at which the client has come.
func (c *Conn) interfaces() []Interface {
	if c.srv.cfg.Interfaces != nil {
		list := c.srv.cfg.Interfaces()
		return list[:min(len(list), maxInterfaces)]
	}
	if c.stream == nil {
		return nil
	}
	at, ok := c.stream.LocalAddr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	addr, ok := netip.AddrFromSlice(at.IP)
	if !ok {
		return nil
	}
	return []Interface{{Index: 1, LinkSpeed: DefaultLinkSpeed, Addr: addr.Unmap()}}
}
