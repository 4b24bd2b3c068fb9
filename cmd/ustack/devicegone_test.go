package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"ustack/ioarea"
	"ustack/netstack"
	"ustack/tap"
)

// A failing acceptor accepts no more.
type failing struct{ err error }

func (f failing) Accept() (*ioarea.Area, error) { return nil, f.err }
func (f failing) Close() error                  { return nil }
func (f failing) Addr() net.Addr                { return &net.TCPAddr{} }

// A server whose device has failed has nothing to wait for.
func TestAServerWithoutADeviceStopsAccepting(t *testing.T) {
	failed := failing{errors.Join(netstack.ErrDevice, tap.ErrGone)}
	for _, ln := range []acceptor{failed, join(acceptors{failed, newScripted()})} {
		if err := new(server).acceptAll(ln); !errors.Is(err, tap.ErrGone) {
			t.Errorf("%v, want what the listener said", err)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server whose interface is deleted ends by itself, and says why.
func TestAServerWhoseInterfaceIsDeletedEnds(t *testing.T) {
	if os.Getuid() != 0 {
		cannot(t, "need root for a network namespace and a TAP device")
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		cannot(t, "need /dev/net/tun: "+err.Error())
	} else {
		f.Close()
	}
	socket := filepath.Join(t.TempDir(), "control")
	var log strings.Builder
	c := program(t.Context(), "serve", "echo", "--addr", "10.77.0.2/24", "--addr", "fd77::2/64", "--host-addr", "10.77.0.1/24", "--control", socket)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	c.Stderr = &log
	if err := c.Start(); errors.Is(err, unix.EPERM) {
		cannot(t, "need the right to make a network namespace: "+err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for until := time.Now().Add(20 * time.Second); ; <-look.C {
		if _, err := readSnapshot(socket); err == nil {
			break
		}
		select {
		case err := <-exited:
			t.Fatalf("%v\n%s", err, log.String())
		default:
		}
		if time.Now().After(until) {
			t.Fatal("server was not ready")
		}
	}
	ns, err := netns.GetFromPid(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	link, err := inside.LinkByName("ustack0")
	if err == nil {
		err = inside.LinkDel(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 1 || !strings.Contains(log.String(), "ustack: netstack: accept at") || !strings.Contains(log.String(), "interface deleted") {
			t.Errorf("%v, logged:\n%s", err, log.String())
		}
	case <-time.After(20 * time.Second):
		_ = c.Process.Kill()
		<-exited
		t.Errorf("the server is still there, logged:\n%s", log.String())
	}
}
