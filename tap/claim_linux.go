package tap

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A claim is a Unix socket with an abstract name, which only one can have in a network
// namespace, and which goes with the process. Two programs on one multi-queue interface would
// each get some of the frames of every flow, and the kernel lets them.
type claim int

// claimInterface takes the interface of that name in the calling thread's namespace.
func claimInterface(name string) (claim, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("tap: claim %s: %w", name, err)
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@ustack/tap/" + name})
	if err == nil {
		return claim(fd), nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EADDRINUSE) {
		return -1, fmt.Errorf("%w: another program serves %s: stop it, or choose another name", ErrNameTaken, name)
	}
	return -1, fmt.Errorf("tap: claim %s: %w", name, err)
}

func (c claim) release() error { return unix.Close(int(c)) }
