package stock

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAnErrorOfTheDeviceSaysWhatHelps(t *testing.T) {
	for _, c := range []struct {
		errno       unix.Errno
		says, never string
	}{
		{unix.EPERM, "needs CAP_NET_ADMIN", "several queues"},
		{unix.EINVAL, "has several queues", "CAP_NET_ADMIN"},
		{unix.EBUSY, "ust0", "CAP_NET_ADMIN"},
	} {
		err := makeError("ust0", os.NewSyscallError("ioctl", c.errno))
		if text := err.Error(); !errors.Is(err, c.errno) || !strings.Contains(text, c.says) || strings.Contains(text, c.never) {
			t.Errorf("%v: %q", c.errno, text)
		}
	}
}
