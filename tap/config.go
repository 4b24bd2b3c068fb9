package tap

import (
	"fmt"
	"net/netip"
	"strings"
)

// Bounds and defaults of Config.
const (
	DefaultQueues = 16
	MaxQueues     = 256 // MAX_TAP_QUEUES of the Linux driver
	maxNameLen    = 15  // IFNAMSIZ less the terminating zero
)

// A Config says which interface Open shall create or attach to.
type Config struct {
	// Name of the interface, 1 to 15 bytes without white space, '/', ':' or '%'.
	// Empty: the first of ustack0, ustack1, ... that is free.
	Name string
	// Queues is how often AttachQueue may succeed, 1 to MaxQueues; 0 is
	// DefaultQueues. 1 creates a single-queue interface. Each takes a descriptor at Open.
	Queues int
	// MTU to give the interface, in bytes; 0 leaves it as it is (1500 when created).
	MTU int
	// HostAddrs are put on the kernel's side of the link, each with the route to its prefix.
	HostAddrs []netip.Prefix
	// Up brings the interface up.
	Up bool
	// Owner is the number of a user who may attach queues, if Open creates the interface: one that the
	// process becomes. 0: root alone.
	Owner int
}

func (c *Config) check() error {
	if c.Queues == 0 {
		c.Queues = DefaultQueues
	}
	if c.Queues < 1 || c.Queues > MaxQueues {
		return fmt.Errorf("%w: %d queues asked for, an interface has 1 to %d", ErrNoQueue, c.Queues, MaxQueues)
	}
	if c.MTU < 0 || c.MTU > 65535 {
		return fmt.Errorf("tap: MTU %d, must be 0 to 65535", c.MTU)
	}
	for _, p := range c.HostAddrs {
		if !p.IsValid() {
			return fmt.Errorf("tap: host address %v is not a valid prefix", p)
		}
	}
	return checkName(c.Name)
}

func checkName(name string) error {
	switch {
	case name == "":
		return nil
	case len(name) > maxNameLen:
		return fmt.Errorf("%w: %q has %d bytes, at most %d can be", ErrBadName, name, len(name), maxNameLen)
	case name == ".", name == "..":
		return fmt.Errorf("%w: %q", ErrBadName, name)
	}
	if i := strings.IndexFunc(name, badInName); i >= 0 {
		return fmt.Errorf("%w: %q has %q in it", ErrBadName, name, name[i])
	}
	return nil
}

// badInName is what the kernel refuses (dev_valid_name), '%', which it would
// replace by a number, and all that a terminal cannot show.
func badInName(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '/' || r == ':' || r == '%'
}
