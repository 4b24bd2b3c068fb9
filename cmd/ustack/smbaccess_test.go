package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAServerThatNobodyCouldUseDoesNotStart(t *testing.T) {
	share := "pub=" + t.TempDir()
	for _, c := range []struct {
		more []string
		want string
	}{
		{[]string{"--share", share, "--no-guest"}, "--no-guest without --user-file"},
		{[]string{"--share", share, "--encrypt", "required"}, "--encrypt required: guests have no key"},
		{[]string{"--share", share, "--require-signing"}, "--require-signing: guests have no key"},
		{[]string{"--share", share + ",encrypt", "--share", "two" + share + ",ro,encrypt"}, "every share is encrypted: guests have no key"},
	} {
		out, err := program(t.Context(), kernelServer("smb", c.more...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) || !strings.Contains(string(out), "give --user-file FILE") {
			t.Errorf("%v: %v: %s", c.more, err, out)
		}
	}
}

func TestAServerWarnsOfWhoCanUseIt(t *testing.T) {
	const (
		nobody   = "nobody can use a share until a user is added"
		noUser   = "nobody can use this share: guests have no key to encrypt with, and there is no --user-file"
		notYet   = "nobody can use this share until a user is added"
		maySpoil = "guests may write"
	)
	dir := t.TempDir()
	empty, filled := filepath.Join(dir, "empty"), filepath.Join(dir, "filled")
	if err := os.WriteFile(empty, []byte("# none yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := program(t.Context(), "smb", "user", "add", "--user-file", filled, "--password", "p", "alice").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	named := writeSMBFile(t, dir, "security.users = \"filled\"\nshare.a = {path = \".\", users = [\"Alice\", \"bob\"]}\n")
	open, sealed := []string{"--share", "pub=" + dir}, []string{"--share", "sealed=" + dir + ",encrypt"}
	both := append(append([]string{}, open...), sealed...)
	with := func(shares []string, more ...string) []string { return append(append([]string{}, shares...), more...) }
	for _, c := range []struct {
		args []string
		want []string
	}{
		{open, []string{maySpoil}},
		{[]string{"--share", "pub=" + dir + ",ro"}, nil},
		{with(open, "--admin", "bob"), []string{maySpoil, `administrators have no account" users=[bob]`}},
		{both, []string{noUser, maySpoil}},
		{with(open, "--user-file", empty), []string{nobody}},
		{with(sealed, "--user-file", empty, "--guest"), []string{nobody}},
		{with(open, "--user-file", empty, "--guest", "--require-signing"), []string{nobody}},
		{with(open, "--user-file", empty, "--guest", "--encrypt", "required"), []string{nobody}},
		{with(both, "--user-file", empty, "--guest"), []string{notYet, maySpoil}},
		{with(both, "--user-file", filled), nil},
		{with(both, "--user-file", filled, "--guest"), []string{maySpoil}},
		{with(open, "--user-file", filled, "--guest", "--require-signing"), nil},
		{with(open, "--user-file", filled, "--admin", "Alice", "--admin", "bob"), []string{`administrators have no account" users=[bob]`}},
		{[]string{"--config", named}, []string{`users of a share have no account" share=a users=[bob]`}},
	} {
		_, stop := started(t, kernelServer("smb", c.args...)...)
		log, err := stop()
		if err != nil || strings.Count(log, "level=WARN") != len(c.want) {
			t.Errorf("%v: %v; want %d warnings:\n%s", c.args, err, len(c.want), log)
		}
		for _, w := range c.want {
			if !strings.Contains(log, w) {
				t.Errorf("%v: no %q:\n%s", c.args, w, log)
			}
		}
	}
}

func TestAServerWarnsOfMoreFilesThanDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for files, warned := range map[uint64]bool{limit.Max / 2: false, limit.Max/2 + 1: true} {
		dir := t.TempDir()
		file := writeSMBFile(t, dir, fmt.Sprintf("limits.files = %d\nshare.a.path = \".\"\n", files))
		_, stop := started(t, kernelServer("smb", "--config", file)...)
		log, err := stop()
		if err != nil || strings.Contains(log, "more files may be open than there are descriptors for") != warned {
			t.Errorf("%d files with %d descriptors: %v: %s", files, limit.Max, err, log)
		}
	}
}
