package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ustack/cmd/ustack/compare"
)

// A contestant is a contender that is up, and can be measured.
type contestant interface {
	// address is where the load is to go.
	address(service string) string
	// sample is what the server has used so far.
	sample() (snapshot, error)
	// died tells which of its programs has ended, and how; nil while all run.
	died() (name string, err error)
	stop() error
}

// An areaServer is "ustack serve" on one of the stacks, with what has to run beside it.
type areaServer struct {
	*child
	beside *helper
	seat   seat
	dir    string // of an SMB share
}

var ports = map[string]string{"echo": "7", "sink": "9", "source": "19", "smb": "445"}

// shareName is what the share is called from which SMB is measured.
const shareName = "compare"

// enter starts a contender's server for a workload.
func (l lab) enter(ctx context.Context, name string, w *compare.Workload, serverCPU []int) (contestant, error) {
	if name == compare.Smbd {
		return l.startSmbd(ctx, serverCPU)
	}
	s, ok := l.seats()[name]
	if !ok {
		return nil, fmt.Errorf("contender %s has no server", name)
	}
	a := &areaServer{seat: s}
	args := append(append([]string{"--totals"}, s.args...), w.Server...)
	if w.Service == "smb" {
		var err error
		if a.dir, err = os.MkdirTemp("", "ustack-share-"); err != nil {
			return nil, err
		}
		args = append(args, "--share", shareName+"="+filepath.Clean(a.dir))
	}
	if len(s.beside) > 0 {
		h, err := l.startHelper(ctx, "client", serverCPU, s.beside...)
		if err != nil {
			return nil, errors.Join(&failure{"relay", err}, a.clean())
		}
		a.beside = h
	}
	var err error
	if a.child, err = l.serveAt(ctx, s.side, s.serve, s.stack, w.Service, serverCPU, args...); err != nil {
		return nil, errors.Join(&failure{"server", err}, a.stopBeside(), a.clean())
	}
	return a, nil
}

func (a *areaServer) address(service string) string { return a.seat.at + ":" + ports[service] }

// sample asserts who answers. What runs beside the server is a part of its cost.
func (a *areaServer) sample() (snapshot, error) {
	s, err := a.snapshot()
	if err == nil && a.beside != nil {
		s.beside, err = processCPU(a.beside.cmd.Process.Pid)
	}
	if err == nil && s.Stack != a.seat.stack {
		err = fmt.Errorf("the server runs on %s, not on %s", s.Stack, a.seat.stack)
	}
	return s, err
}

func (a *areaServer) died() (string, error) {
	if a.beside != nil {
		if err := a.beside.ended(); err != nil {
			return "relay", err
		}
	}
	return "server", a.child.ended()
}

func (a *areaServer) stop() error {
	return errors.Join(a.child.stop(), a.stopBeside(), a.clean())
}

func (a *areaServer) stopBeside() error {
	if a.beside == nil {
		return nil
	}
	return a.beside.stop()
}

func (a *areaServer) clean() error {
	if a.dir == "" {
		return nil
	}
	return os.RemoveAll(a.dir)
}
