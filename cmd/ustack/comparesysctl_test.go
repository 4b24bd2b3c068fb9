package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestSysctlsAreSetAndPutBack(t *testing.T) {
	l := lab{name: needLab(t)}
	const key = "net.ipv4.tcp_fin_timeout"
	is := func(want string) {
		t.Helper()
		for _, side := range []string{"client", "server"} {
			if got, err := l.sysctl(t.Context(), side, key); err != nil || got != want {
				t.Errorf("at the %s it is %q, %v; want %s", side, got, err, want)
			}
		}
	}
	was, err := l.sysctl(t.Context(), "client", key)
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := outputOf(l.sysctlCommand(t.Context(), "client", "cat", "/proc/self/stat")); err != nil {
		t.Error(err)
	} else if group, _, err := parseStat(stat); err != nil || group == syscall.Getpgrp() {
		t.Errorf("a Ctrl-C at the terminal reaches what sets it: process group %d, %v", group, err)
	}
	const several = "net.ipv4.tcp_rmem"
	severalWere, err := l.sysctl(t.Context(), "client", several)
	if err != nil {
		t.Fatal(err)
	}
	said, restore, err := l.setSysctls(t.Context(), []string{key + "=33", "net/ipv4/tcp_fin_timeout=34"})
	if err != nil {
		t.Fatal(err)
	}
	is("34")
	if want := []string{key + "=33 instead of " + was, "net/ipv4/tcp_fin_timeout=34 instead of 33"}; !slices.Equal(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
	is(was)
	for _, bad := range []string{"", "vm", key, "=1", "../../etc/x=1", "net.ipv4.=1", "net.ipv4.no_such_thing=1", key + "=zebra", "net.ipv4.tcp_rmem=4097 zebra"} {
		_, _, err := l.setSysctls(t.Context(), []string{key + "=35", bad})
		if err == nil || strings.Contains(err.Error(), "exit status") {
			t.Errorf("%q: %v", bad, err)
		}
		if err != nil && strings.Contains(bad, "zebra") && !strings.Contains(err.Error(), "in the client's namespace: ") {
			t.Errorf("whose it is is not said: %v", err)
		}
		is(was)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, _, err := l.setSysctls(interrupted, []string{key + "=36"}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	is(was)
	if now, err := l.sysctl(t.Context(), "client", several); err != nil || now != severalWere {
		t.Errorf("of a setting that is refused half is left: %q, %v; it was %q", now, err, severalWere)
	}
	said, restore, err = l.setSysctls(t.Context(), []string{several + "=4097 131073 6291457"})
	if err != nil {
		t.Fatal(err)
	}
	if want := several + "=4097 131073 6291457 instead of " + strings.ReplaceAll(severalWere, "\t", " "); !slices.Equal(said, []string{want}) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
	if now, err := l.sysctl(t.Context(), "server", several); err != nil || now != severalWere {
		t.Errorf("of several numbers it is %q, %v; it was %q", now, err, severalWere)
	}
}

// Whoever interrupts a comparison hears of settings that are left.
func TestWhatIsNotPutBackIsTold(t *testing.T) {
	failed, left := errors.New("failed"), errors.New("left")
	for _, c := range []struct{ err, restored, told, not error }{
		{nil, left, left, nil},
		{failed, left, failed, nil},
		{context.Canceled, left, left, context.Canceled}, // of which main says nothing
		{context.Canceled, nil, context.Canceled, nil},
	} {
		if err := afterRestore(c.err, c.restored); !errors.Is(err, c.told) || c.not != nil && errors.Is(err, c.not) {
			t.Errorf("%v, then %v: %v", c.err, c.restored, err)
		}
	}
	if err := afterRestore(nil, nil); err != nil {
		t.Error(err)
	}
}
