package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A helper is a program of the lab that says "ready" when it is, and runs until it is
// told to stop or has printed what it has to say.
type helper struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	out    *bufio.Reader
	exited chan struct{} // closed when it has ended, with err set before
	err    error
}

// startHelper starts a command of this program, and returns when it is ready.
func (l lab) startHelper(ctx context.Context, side string, cpus []int, args ...string) (*helper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &helper{exited: make(chan struct{})}
	h.cmd = l.command(ctx, side, cpus, append([]string{self, "--log-level", "warn"}, args...)...)
	h.cmd.Stderr = &h.stderr
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	h.cmd.Stdout = w
	h.out = bufio.NewReader(r)
	if err := errors.Join(h.cmd.Start(), w.Close()); err != nil {
		r.Close()
		return nil, err
	}
	go func() {
		h.err = h.cmd.Wait()
		close(h.exited)
	}()
	_ = r.SetReadDeadline(time.Now().Add(startTime))
	line, err := h.out.ReadString('\n')
	_ = r.SetReadDeadline(time.Time{})
	if err != nil || strings.TrimSpace(line) != readyLine {
		return nil, fmt.Errorf("%s did not get ready: %w", args[0], errors.Join(err, h.stop()))
	}
	return h, nil
}

// ended is how it has ended, nil while it runs.
func (h *helper) ended() error {
	select {
	case <-h.exited:
		return h.fate(h.err)
	default:
		return nil
	}
}

// fate is an ending with what the program said of it.
func (h *helper) fate(err error) error {
	if err == nil {
		return errors.New("ended by itself")
	}
	if msg := strings.TrimSpace(h.stderr.String()); msg != "" {
		return fmt.Errorf("%w: %s", err, msg)
	}
	return err
}

// rest waits until it ends by itself, and returns what it has printed.
func (h *helper) rest() ([]byte, error) {
	out, err := io.ReadAll(h.out)
	<-h.exited
	if h.err != nil {
		err = errors.Join(err, h.fate(h.err))
	}
	return out, err
}

func (h *helper) stop() error {
	select {
	case <-h.exited:
		return h.err
	default:
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	select {
	case <-h.exited:
	case <-time.After(stopTime):
		_ = h.cmd.Process.Kill()
		<-h.exited
	}
	if h.err != nil {
		return h.fate(h.err)
	}
	return nil
}
