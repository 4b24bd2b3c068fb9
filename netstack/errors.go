package netstack

import (
	"fmt"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// streamError gives gVisor's errors the values that Go programs know.
func streamError(err tcpip.Error) error {
	if errno := errnoOf(err); errno != 0 {
		return fmt.Errorf("netstack: %w", errno)
	}
	return fmt.Errorf("netstack: %s", err)
}

func errnoOf(err tcpip.Error) syscall.Errno {
	switch err.(type) {
	case *tcpip.ErrConnectionReset:
		return syscall.ECONNRESET
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return syscall.ECONNABORTED
	case *tcpip.ErrClosedForSend:
		return syscall.EPIPE
	case *tcpip.ErrTimeout:
		return syscall.ETIMEDOUT
	case *tcpip.ErrConnectionRefused:
		return syscall.ECONNREFUSED
	case *tcpip.ErrHostUnreachable:
		return syscall.EHOSTUNREACH
	case *tcpip.ErrNetworkUnreachable:
		return syscall.ENETUNREACH
	case *tcpip.ErrPortInUse:
		return syscall.EADDRINUSE
	case *tcpip.ErrBadLocalAddress:
		return syscall.EADDRNOTAVAIL
	}
	return 0
}
