package smbproto

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// errTooMany refuses one more connection of a client's.
var errTooMany = fmt.Errorf("%w: the client has as many connections as one may have", net.ErrClosed)

// clients counts the connections of each address. What one costs in memory, opens and requests is bounded by the limits of a
// connection: so this bounds what a client costs. Any goroutine may use it.
type clients struct {
	mu    sync.Mutex
	conns map[netip.Addr]int // none is 0
}

// enter counts one more connection of an address, unless most are there; 0 is no bound.
func (c *clients) enter(addr netip.Addr, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.conns[addr] >= most {
		return false
	}
	if c.conns == nil {
		c.conns = map[netip.Addr]int{}
	}
	c.conns[addr]++
	return true
}

func (c *clients) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns[addr]--; c.conns[addr] == 0 {
		delete(c.conns, addr)
	}
}

// addrOf is the address of a peer without its port; that of a peer which has none is one for all of those.
func addrOf(peer net.Addr) netip.Addr {
	if peer == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}
