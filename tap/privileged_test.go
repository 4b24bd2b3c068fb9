package tap

import (
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inNamespace runs f on a thread that is in a network namespace of its own, with
// the loopback interface up. The namespace has no name, so it ends with the
// thread and with what f opened in it. Without the rights for it the test is
// skipped, but fails where CI=true.
func inNamespace(tb testing.TB, f func()) {
	tb.Helper()
	needTUN(tb)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := netns.Get()
	if err != nil {
		tb.Fatal(err)
	}
	defer old.Close()
	ns, err := netns.New()
	if err != nil {
		cannot(tb, "make a network namespace: "+err.Error())
	}
	defer ns.Close()
	defer func() {
		if err := netns.Set(old); err != nil {
			panic(err)
		}
	}()
	if lo, err := netlink.LinkByName("lo"); err != nil {
		tb.Fatal(err)
	} else if err := netlink.LinkSetUp(lo); err != nil {
		tb.Fatal(err)
	}
	f()
}

func needTUN(tb testing.TB) {
	tb.Helper()
	if os.Getuid() != 0 {
		cannot(tb, "need root")
	}
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		cannot(tb, "need "+tunPath+": "+err.Error())
	}
	unix.Close(fd)
}

func cannot(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal("CI must be able to run this: " + why)
	}
	tb.Skip(why)
}
