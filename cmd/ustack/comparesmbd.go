package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ustack/cmd/ustack/compare"
)

// smbdPort is where smbd listens, beside the servers of other contenders.
const smbdPort = 4450

// smbdConfig has smbd serve one directory to guests, with the largest
// messages of the other contenders, without signing, which they do not do for guests, or to a user, signed or encrypted,
// and keep all its state in one place. All else is as Samba has it; the client has the say in which dialect.
const smbdConfig = `[global]
server role = standalone server
interfaces = %[2]s
bind interfaces only = yes
smb ports = %[3]d
disable netbios = yes
load printers = no
disable spoolss = yes
smb2 max read = 1048576
smb2 max write = 1048576
smb2 max trans = 1048576
%[5]s
passdb backend = tdbsam
log level = 0
max log size = 0
private dir = %[1]s/private
lock directory = %[1]s/lock
state directory = %[1]s/state
cache directory = %[1]s/cache
pid directory = %[1]s/pid
ncalrpc dir = %[1]s/ncalrpc
[%[4]s]
path = %[7]s
read only = no
%[6]s
`

// An smbd is Samba's server in the server's namespace. It makes itself a process group,
// in which the processes that it makes for connections stay, and by which they are
// counted and ended.
type smbd struct {
	lab    lab
	cmd    *exec.Cmd
	dir    string // of its state
	files  string // of its share
	out    bytes.Buffer
	exited chan struct{}
	err    error

	congestion string
}

func (l lab) startSmbd(ctx context.Context, w *compare.Workload, cpus []int) (contestant, error) {
	dir, err := os.MkdirTemp("", "ustack-smbd-")
	if err != nil {
		return nil, err
	}
	files, err := l.tempFiles()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &smbd{lab: l, dir: dir, files: files, exited: make(chan struct{})}
	if err := s.start(ctx, w, cpus); err != nil {
		return nil, errors.Join(&failure{compare.Smbd, err}, s.clean())
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(&failure{compare.Smbd, err}, s.stop())
	}
	return s, nil
}

func (s *smbd) start(ctx context.Context, w *compare.Workload, cpus []int) (err error) {
	for _, sub := range []string{"private", "lock", "state", "cache", "pid", "ncalrpc"} {
		if err := os.Mkdir(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(s.share(), 0o755); err != nil {
		return err
	}
	at := s.lab.seats()[compare.Veth].at
	conf := filepath.Join(s.dir, "smb.conf")
	who, guests := "map to guest = Bad User\nguest account = root", "guest ok = yes\nguest only = yes"
	switch w.Protect {
	case compare.Signed:
		who, guests = "server signing = mandatory", ""
	case compare.Encrypted:
		who, guests = "server smb encrypt = required", ""
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, smbdConfig, s.dir, at, smbdPort, shareName, who, guests, s.share()), 0o644); err != nil {
		return err
	}
	if w.Protect != "" {
		if err := addSmbdUser(ctx, conf); err != nil {
			return err
		}
	}
	if err := fillDirectory(filepath.Join(s.share(), compare.ListedDirectory), w.Entries); err != nil {
		return err
	}
	if s.congestion, err = s.lab.routeCongestion(ctx, "server", "10.78.0.1"); err != nil {
		return err
	}
	s.cmd = s.lab.command(ctx, "server", cpus, "smbd", "--foreground", "--debug-stdout", "--configfile="+conf)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.Cancel = func() error { return s.signal(syscall.SIGTERM) }
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	return nil
}

// addSmbdUser makes smbd know the user, whom the system knows already.
func addSmbdUser(ctx context.Context, conf string) error {
	cmd := exec.CommandContext(ctx, "smbpasswd", "-c", conf, "-s", "-a", compare.SMBUser)
	cmd.Stdin = strings.NewReader(compare.SMBPassword + "\n" + compare.SMBPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("smbpasswd: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// awaitReady returns when smbd, and nobody else, listens at its port.
func (s *smbd) awaitReady(ctx context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(startTime); ; {
		err := ownsListener(s.cmd.Process.Pid, smbdPort)
		if err == nil {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("not ready in %v: %w", startTime, err)
		}
		select {
		case <-s.exited:
			return fmt.Errorf("did not start: %w", s.fate())
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

func (s *smbd) share() string { return filepath.Join(s.files, "share") }

func (s *smbd) address(string) string {
	return fmt.Sprintf("%s:%d", s.lab.seats()[compare.Veth].at, smbdPort)
}

// sample asserts that it is smbd's process that listens.
func (s *smbd) sample() (snapshot, error) {
	if err := ownsListener(s.cmd.Process.Pid, smbdPort); err != nil {
		return snapshot{}, err
	}
	cpu, err := groupCPU(s.cmd.Process.Pid)
	return snapshot{PID: s.cmd.Process.Pid, Service: "smb", Stack: compare.Smbd, Congestion: s.congestion, UserS: cpu.Seconds()}, err
}

func (s *smbd) died() (string, error) {
	select {
	case <-s.exited:
		return compare.Smbd, s.fate()
	default:
		return compare.Smbd, nil
	}
}

// fate is how it ended, with what it said.
func (s *smbd) fate() error {
	err := s.err
	if err == nil {
		err = errors.New("ended by itself")
	}
	if msg := strings.TrimSpace(s.out.String()); msg != "" {
		err = fmt.Errorf("%w: %s", err, msg)
	}
	return err
}

// signal reaches all of its processes, or the first, where that has not made them a
// group yet.
func (s *smbd) signal(sig syscall.Signal) error {
	if syscall.Kill(-s.cmd.Process.Pid, sig) == nil {
		return nil
	}
	return s.cmd.Process.Signal(sig)
}

func (s *smbd) stop() error {
	_ = s.signal(syscall.SIGTERM) // it may be gone
	select {
	case <-s.exited:
	case <-time.After(stopTime):
		_ = s.signal(syscall.SIGKILL)
		<-s.exited
	}
	// How it ends when it is told to is its own affair.
	return s.clean()
}

func (s *smbd) clean() error { return errors.Join(os.RemoveAll(s.dir), os.RemoveAll(s.files)) }
