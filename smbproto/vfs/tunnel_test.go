package vfs

import (
	"fmt"
	"testing"
	"time"
)

func TestNamesAreRememberedForAWhile(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	tun := tunnel{now: func() time.Time { return now }}
	here, there := ID{1, 1}, ID{1, 2}
	check := func(dir ID, short, want string) {
		t.Helper()
		if got := tun.recall(dir, short); got != want {
			t.Errorf("%q in %v: %q, want %q", short, dir, got, want)
		}
	}
	tun.remember(here, "A~1.TXT", "a long name.txt")
	check(here, "a~1.txt", "a long name.txt")
	check(there, "A~1.TXT", "A~1.TXT")
	check(here, "A~1", "A~1")
	now = now.Add(tunnelFor - 1)
	check(here, "A~1.TXT", "a long name.txt")
	tun.remember(here, "a~1.TXT", "another name.txt")
	check(here, "A~1.TXT", "another name.txt")
	now = now.Add(tunnelFor)
	check(here, "A~1.TXT", "A~1.TXT")
	for i := range 3 * tunnelMost {
		tun.remember(here, fmt.Sprintf("F%04d~1", i), fmt.Sprintf("file %d", i))
	}
	if len(tun.entries) != tunnelMost {
		t.Errorf("%d names are remembered", len(tun.entries))
	}
	check(here, fmt.Sprintf("F%04d~1", 3*tunnelMost-1), fmt.Sprintf("file %d", 3*tunnelMost-1))
	check(here, fmt.Sprintf("F%04d~1", 2*tunnelMost-1), fmt.Sprintf("F%04d~1", 2*tunnelMost-1))
}
