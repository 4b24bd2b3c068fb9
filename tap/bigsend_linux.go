package tap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// maxSend is what fits the fragments of a socket buffer with room to spare: 17 of
// at most 32 KiB each.
const maxSend = 256 << 10

// MaxSend implements BigSender: Linux takes IPv4 packets without a length from 6.3 on.
func (d *device) MaxSend() int {
	var u unix.Utsname
	if unix.Uname(&u) != nil || !sinceLinux63(unix.ByteSliceToString(u.Release[:])) {
		return MaxFrame
	}
	return maxSend
}

// SendsMapped implements MappedSender.
func (d *device) SendsMapped() {}

// sinceLinux63 reports whether a release, such as 6.12.5-amd64, is 6.3 or later.
func sinceLinux63(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 6 || major == 6 && minor >= 3
}
