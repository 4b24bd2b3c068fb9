package tap

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Open attaches to the TAP interface of the given name, and creates it if there is
// none. One that Open created disappears with its last queue, at Close or at the end of the
// process; one that was there before (a persistent one, of `ip tuntap add`) stays,
// and so do its addresses.
//
// The interface is the one in the network namespace of the calling thread; a
// goroutine that has changed it must be locked to that thread. The Device may then be
// used from any thread.
//
// Errors: ErrBadName, ErrNoQueue, ErrNoDevice, ErrPermission, ErrNameTaken,
// ErrNoVnetHdr, and others of netlink when addresses, MTU or state cannot be set.
func Open(c Config) (Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	// Namespaces are per thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	d, multi, err := openClaimed(c)
	if err != nil {
		return nil, err
	}
	if err := d.setUp(c, multi); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// openClaimed makes a device of an interface that nobody else serves.
func openClaimed(c Config) (d *device, multi bool, err error) {
	mine := claim(-1)
	defer func() {
		if err != nil && mine >= 0 {
			err = errors.Join(err, mine.release())
		}
	}()
	if c.Name != "" { // before it is touched
		if mine, err = claimInterface(c.Name); err != nil {
			return nil, false, err
		}
	}
	first, name, multi, err := openFirst(c)
	if err != nil {
		return nil, false, err
	}
	if c.Name == "" {
		mine, err = claimInterface(name)
	}
	if err == nil {
		d, err = newDevice(name, first, multi)
	}
	if err != nil {
		unix.Close(first)
		return nil, false, err
	}
	d.claim = mine
	return d, multi, nil
}

// openFirst attaches the first queue, which keeps the interface alive.
func openFirst(c Config) (fd int, name string, multi bool, err error) {
	exists := false
	if c.Name != "" {
		if exists, err = isTAP(c.Name); err != nil {
			return -1, "", false, err
		}
	}
	if exists {
		fd, multi, err = attachExisting(c.Name)
		return fd, c.Name, multi, err
	}
	multi = c.Queues > 1
	if fd, name, err = create(c.Name, multi); err != nil {
		return -1, "", false, err
	}
	if c.Owner != 0 {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, c.Owner); err != nil {
			unix.Close(fd)
			return -1, "", false, fmt.Errorf("tap: %s: TUNSETOWNER %d: %w", name, c.Owner, err)
		}
	}
	return fd, name, multi, nil
}

// isTAP reports whether there is an interface of that name; it is an error if
// that is anything else than a TAP.
func isTAP(name string) (bool, error) {
	link, err := netlink.LinkByName(name)
	if _, none := errors.AsType[netlink.LinkNotFoundError](err); none {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("tap: look up interface %s: %w", name, err)
	}
	if t, ok := link.(*netlink.Tuntap); ok && t.Mode == netlink.TUNTAP_MODE_TAP {
		return true, nil
	}
	return false, fmt.Errorf("%w: interface %s exists and is of type %s, not a TAP: choose another name, or delete it", ErrNameTaken, name, link.Type())
}

// attachExisting attaches to an interface of which it is not known whether it has several queues.
func attachExisting(name string) (fd int, multi bool, err error) {
	for _, multi = range []bool{true, false} {
		if fd, err = openTun(); err != nil {
			return -1, false, err
		}
		if err = attach(fd, name, multi); err == nil {
			return fd, multi, nil
		}
		unix.Close(fd)
		if !errors.Is(err, unix.EINVAL) || errors.Is(err, ErrNoVnetHdr) {
			return -1, false, err
		}
	}
	return -1, false, err
}

// create makes an interface by water and takes it over. Water cannot ask for a
// virtio-net header, and a queue that joins water's own gets none either, without
// an error; so water's queue is closed before ours is attached, and the interface is
// persistent in between.
func create(name string, multi bool) (int, string, error) {
	fd, err := openTun()
	if err != nil {
		return -1, "", err
	}
	name, err = createPersistent(name, multi)
	if err == nil {
		err = attach(fd, name, multi)
		if err == nil {
			err = unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0)
		}
		if err != nil {
			deleteLink(name)
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, "", err
	}
	return fd, name, nil
}

func createPersistent(name string, multi bool) (string, error) {
	if name == "" {
		name = "ustack%d"
	}
	if err := tryCreate(name, multi); err != nil {
		return "", err
	}
	w, err := water.New(water.Config{
		DeviceType:             water.TAP,
		PlatformSpecificParams: water.PlatformSpecificParams{Name: name, Persist: true, MultiQueue: multi},
	})
	if err != nil {
		return "", createError(name, err)
	}
	if err := w.Close(); err != nil {
		deleteLink(w.Name())
		return "", fmt.Errorf("tap: create %s: %w", w.Name(), err)
	}
	return w.Name(), nil
}

// tryCreate makes an interface as water would, and lets it go again with its descriptor.
// Where that fails water would fail too, and leave its own descriptor open.
func tryCreate(name string, multi bool) error {
	fd, err := openTun()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrBadName, name, err)
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | multiQueueFlag(multi))
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return createError(name, err)
	}
	return nil
}

func createError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: create %s: %w (needs CAP_NET_ADMIN in the network namespace)", ErrPermission, name, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w: create %s: %w", ErrNameTaken, name, err)
	}
	return fmt.Errorf("tap: create %s: %w", name, err)
}

func deleteLink(name string) {
	if link, err := netlink.LinkByName(name); err == nil {
		netlink.LinkDel(link)
	}
}

// setUp does what Config asks of the interface, reads what Device tells about it,
// and opens the descriptors of further queues while the thread is in the interface's namespace.
func (d *device) setUp(c Config, multi bool) error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("tap: look up interface %s: %w", d.name, err)
	}
	if c.MTU != 0 {
		if err := netlink.LinkSetMTU(link, c.MTU); err != nil {
			return setUpError(fmt.Sprintf("set MTU of %s to %d", d.name, c.MTU), err)
		}
	}
	for _, p := range c.HostAddrs {
		if err := netlink.AddrReplace(link, hostAddr(p)); err != nil {
			return setUpError(fmt.Sprintf("put %v on %s", p, d.name), err)
		}
	}
	if c.Up {
		if err := netlink.LinkSetUp(link); err != nil {
			return setUpError(fmt.Sprintf("bring %s up", d.name), err)
		}
	}
	if link, err = netlink.LinkByName(d.name); err != nil {
		return fmt.Errorf("tap: look up interface %s: %w", d.name, err)
	}
	d.mtu, d.mac = link.Attrs().MTU, link.Attrs().HardwareAddr
	if !multi {
		return nil
	}
	for len(d.unattached) < c.Queues-1 {
		fd, err := openTun()
		if err != nil {
			return err
		}
		d.unattached = append(d.unattached, fd)
	}
	return nil
}

func setUpError(what string, err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %s: %w (needs CAP_NET_ADMIN in the network namespace)", ErrPermission, what, err)
	}
	return fmt.Errorf("tap: %s: %w", what, err)
}

// hostAddr is p for netlink. Nobody else is on the link, so duplicate address
// detection would only delay the address.
func hostAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}
