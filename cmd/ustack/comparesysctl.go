package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

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
			if err := ctx.Err(); err != nil {
				return nil, nil, afterRestore(err, restore())
			}
			was, err := l.sysctl(ctx, side, key)
			if err == nil {
				// Before it is set: what fails, or is interrupted, may have changed it, or the first of its numbers.
				undo = append(undo, func() error { return l.putBack(ctx, side, key, was) })
				err = l.setSysctl(ctx, side, key, value)
			}
			if err != nil {
				return nil, nil, errors.Join(fmt.Errorf("--sysctl %q, in the %s's namespace: %w", setting, side, err), restore())
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

// sysctlCommand makes a command that no interruption ends midway: ctx doesn't, and, in a process
// group of its own, no Ctrl-C at the terminal either. It takes an instant.
func (l lab) sysctlCommand(ctx context.Context, side string, args ...string) *exec.Cmd {
	c := l.command(context.WithoutCancel(ctx), side, nil, args...)
	c.SysProcAttr.Setpgid = true
	return c
}

// sysctl is a setting in a side's namespace.
func (l lab) sysctl(ctx context.Context, side, key string) (string, error) {
	return outputOf(l.sysctlCommand(ctx, side, "cat", sysctlFile(key)))
}

func (l lab) setSysctl(ctx context.Context, side, key, value string) error {
	c := l.sysctlCommand(ctx, side, "tee", sysctlFile(key))
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
		return fmt.Errorf("--sysctl: %s was %q in the %s's namespace, and can't be put back: %w", key, was, side, err)
	}
	return nil
}

// outputOf is what a command says, or why it failed, in its own words if it has any.
func outputOf(c *exec.Cmd) (string, error) {
	out, err := c.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && len(e.Stderr) > 0 {
		err = errors.New(string(bytes.TrimSpace(e.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}
