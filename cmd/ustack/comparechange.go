package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ustack/cmd/ustack/compare"
)

// What a comparison is made with that is not as ever.
type compareChange struct {
	With     []string `name:"with" placeholder:"FLAG" sep:"none" help:"A further flag for user-space TCP's server, not for its baselines, as --with=--spin=-1ns; may be repeated."`
	Sysctl   []string `name:"sysctl" placeholder:"KEY=VALUE" sep:"none" help:"A setting of the kernel for the time of the comparison, in both namespaces, as --sysctl=net.ipv4.tcp_notsent_lowat=131072; may be repeated. Some are the whole machine's."`
	FileSize byteSize `name:"file-size" placeholder:"SIZE" help:"Size of the files that SMB puts, gets and reads (default: 256MiB)."`
}

// changed names the flag that makes a comparison another one; empty if none does.
func (c *compareChange) changed() string {
	switch {
	case len(c.With) > 0:
		return "--with"
	case len(c.Sysctl) > 0:
		return "--sysctl"
	case c.FileSize > 0:
		return "--file-size"
	}
	return ""
}

// settings says what is not as ever, for the report.
func (c *compareChange) settings() (s []string) {
	if len(c.With) > 0 {
		s = append(s, "user-space TCP's server with "+strings.Join(c.With, " "))
	}
	if c.FileSize > 0 {
		s = append(s, "SMB's files of "+strconv.FormatUint(uint64(c.FileSize), 10)+" bytes")
	}
	return s
}

// apply makes the loads of steps those of files of another size.
func (c *compareChange) apply(steps []compare.Step) {
	for i := range steps {
		if s := &steps[i]; s.Service == "smb" && c.FileSize > 0 {
			s.Load = append(slices.Clone(s.Load), "--size", strconv.FormatUint(uint64(c.FileSize), 10))
		}
	}
}

// sysctlKey is what may follow /proc/sys, with dots or slashes.
var sysctlKey = regexp.MustCompile(`^[a-z0-9_]+([./][A-Za-z0-9_-]+)+$`)

// setSysctls makes settings of the kernel, each KEY=VALUE, in both namespaces. It returns what
// they are now and were, and what puts them back, which is to be called whatever becomes of the
// rest. If one can't be made, all are as they were.
func (l lab) setSysctls(ctx context.Context, settings []string) (said []string, restore func() error, err error) {
	var undo []func() error
	restore = func() (err error) {
		for _, u := range slices.Backward(undo) { // the first to be made saw what was there
			err = errors.Join(err, u())
		}
		return err
	}
	for _, setting := range settings {
		key, value, ok := strings.Cut(setting, "=")
		if !ok || !sysctlKey.MatchString(key) {
			return nil, nil, errors.Join(fmt.Errorf("--sysctl %q: want KEY=VALUE, as in net.ipv4.tcp_fin_timeout=30", setting), restore())
		}
		for i, side := range []string{"client", "server"} {
			was, err := l.sysctl(ctx, side, key)
			if err == nil {
				// Before it is set: what fails, or is interrupted, may have changed it, or the first of its numbers.
				undo = append(undo, func() error { return l.putBack(context.WithoutCancel(ctx), side, key, was) })
				err = l.setSysctl(ctx, side, key, value)
			}
			if err != nil {
				return nil, nil, errors.Join(fmt.Errorf("--sysctl %q: %w", setting, err), restore())
			}
			if i == 0 {
				said = append(said, fmt.Sprintf("%s=%s instead of %s", key, value, strings.Join(strings.Fields(was), " ")))
			}
		}
	}
	return said, restore, nil
}

// afterRestore is how a comparison has ended that ended with err, and with restored when settings
// were put back. Of one that was interrupted no more is told, but of settings that are left is.
func afterRestore(err, restored error) error {
	if restored != nil && errors.Is(err, context.Canceled) {
		return restored
	}
	return errors.Join(err, restored)
}

func sysctlFile(key string) string { return "/proc/sys/" + strings.ReplaceAll(key, ".", "/") }

// sysctl is a setting in a side's namespace.
func (l lab) sysctl(ctx context.Context, side, key string) (string, error) {
	return outputOf(l.command(ctx, side, nil, "cat", sysctlFile(key)))
}

func (l lab) setSysctl(ctx context.Context, side, key, value string) error {
	c := l.command(ctx, side, nil, "tee", sysctlFile(key))
	c.Stdin = strings.NewReader(value + "\n")
	_, err := outputOf(c)
	return err
}

// putBack makes a setting what it was, if it is not.
func (l lab) putBack(ctx context.Context, side, key, was string) error {
	now, err := l.sysctl(ctx, side, key)
	if err == nil && now != was {
		err = l.setSysctl(ctx, side, key, was)
	}
	if err != nil {
		return fmt.Errorf("--sysctl: %s was %q at the %s, and can't be put back: %w", key, was, side, err)
	}
	return nil
}

// outputOf is what a command says, or why it failed.
func outputOf(c *exec.Cmd) (string, error) {
	out, err := c.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(e.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}
