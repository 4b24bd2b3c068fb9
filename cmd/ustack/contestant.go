package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ustack/cmd/ustack/compare"
	"ustack/smbproto/auth"
)

// A contestant is a contender that is up, and can be measured.
type contestant interface {
	// address is where the load is to go.
	address(service string) string
	// share is the directory that it serves by SMB.
	share() string
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
		return l.startSmbd(ctx, w, serverCPU)
	}
	s, ok := l.seats()[name]
	if !ok {
		return nil, fmt.Errorf("contender %s has no server", name)
	}
	a := &areaServer{seat: s}
	args := append(append([]string{"--totals"}, s.args...), w.Server...)
	if w.Service == "smb" {
		var err error
		if a.dir, err = l.tempFiles(); err != nil {
			return nil, err
		}
		own, err := prepareShare(w, a.dir)
		if err != nil {
			return nil, errors.Join(err, a.clean())
		}
		args = append(args, own...)
	}
	if name == compare.Ustack {
		args = append(args, l.with...) // behind the others: the last counts
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

// prepareShare puts into a directory what the workload finds in it, and returns the arguments of "ustack serve smb" that
// serve it.
func prepareShare(w *compare.Workload, dir string) (args []string, err error) {
	share := filepath.Join(dir, "share")
	if err := os.Mkdir(share, 0o755); err != nil {
		return nil, err
	}
	args = []string{"--share", shareName + "=" + share}
	if w.Protect != "" {
		file := filepath.Join(dir, "users")
		users, err := auth.CreateUserFile(file)
		if err != nil {
			return nil, err
		}
		if err := users.Add(compare.SMBUser, compare.SMBPassword); err != nil {
			return nil, err
		}
		args = append(args, "--user-file", file)
	}
	switch w.Protect {
	case compare.Signed:
		args = append(args, "--require-signing")
	case compare.Encrypted:
		args = append(args, "--encrypt", "required")
	}
	return args, fillDirectory(filepath.Join(share, compare.ListedDirectory), w.Entries)
}

// tempFiles makes a directory for a share.
func (l lab) tempFiles() (string, error) { return os.MkdirTemp(l.files, "ustack-share-") }

// fillDirectory makes a directory with n empty files.
func fillDirectory(dir string, n int) error {
	if n == 0 {
		return nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range n {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("file-%06d", i)))
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (a *areaServer) share() string { return filepath.Join(a.dir, "share") }

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
