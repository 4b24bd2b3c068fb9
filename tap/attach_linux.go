package tap

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// openTun opens the driver, without an interface yet. The descriptor belongs to
// the network namespace of the thread that opens it, now and for ever.
func openTun() (int, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return -1, fmt.Errorf("%w: open %s: %w (load the tun module, or pass the device to the container)", ErrNoDevice, tunPath, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return -1, fmt.Errorf("%w: open %s: %w", ErrPermission, tunPath, err)
	}
	return -1, fmt.Errorf("tap: open %s: %w", tunPath, err)
}

// attach makes fd a queue of the interface, with virtio-net headers and offloads.
// After an error fd is good for nothing but closing.
func attach(fd int, name string, multi bool) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrBadName, name, err)
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | multiQueueFlag(multi))
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return attachError(name, multi, err)
	}
	if err := checkVnetHdr(fd, name); err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HdrLen); err != nil {
		return fmt.Errorf("%w: %s: TUNSETVNETHDRSZ %d: %w", ErrNoVnetHdr, name, HdrLen, err)
	}
	// Of the interface, not of the queue: it stays after the queue has gone.
	const offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads); err != nil {
		return fmt.Errorf("%w: %s: TUNSETOFFLOAD CSUM|TSO4|TSO6: %w", ErrNoVnetHdr, name, err)
	}
	return nil
}

func multiQueueFlag(multi bool) uint16 {
	if multi {
		return unix.IFF_MULTI_QUEUE
	}
	return 0
}

// checkVnetHdr asks the interface whether it has virtio-net headers. A queue that
// joins others of a multi-queue interface gets what they have, and no error.
func checkVnetHdr(fd int, name string) error {
	got, err := unix.NewIfreq("")
	if err != nil {
		return fmt.Errorf("tap: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, got); err != nil {
		return fmt.Errorf("tap: %s: TUNGETIFF: %w", name, err)
	}
	if got.Uint16()&unix.IFF_VNET_HDR == 0 {
		return fmt.Errorf("%w: %s has queues without it, attached by another program: close those first", ErrNoVnetHdr, name)
	}
	return nil
}

// hasInterface reports whether the interface that fd was attached to still exists.
func hasInterface(fd int) bool {
	req, err := unix.NewIfreq("")
	return err == nil && unix.IoctlIfreq(fd, unix.TUNGETIFF, req) == nil
}

func attachError(name string, multi bool, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: attach to %s: %w (needs CAP_NET_ADMIN in its network namespace, or to own the interface)", ErrPermission, name, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: %s is a single-queue interface in use: %w", ErrNameTaken, name, err)
	case errors.Is(err, unix.E2BIG), multi && errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w: %s has all its queues in use: %w", ErrNoQueue, name, err)
	}
	return fmt.Errorf("tap: attach a queue to %s: TUNSETIFF: %w", name, err)
}
