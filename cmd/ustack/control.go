package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ustack/ioarea"
	"ustack/netstack"
	"ustack/smbproto"
	"ustack/smbproto/audit"
)

// A snapshot is what a running server tells about itself.
type snapshot struct {
	PID     int    `json:"pid"`
	Service string `json:"service"`
	// Congestion is the congestion control of connections that are accepted.
	Congestion string `json:"congestion_control"`
	Stack      string `json:"stack"`
	// Addrs are the addresses and ports that are listened at; where port 0 was asked for, the one that there is.
	Addrs []string `json:"addrs"`
	// Metrics is where metrics are told, if they are: likewise.
	Metrics string  `json:"metrics,omitempty"`
	UptimeS float64 `json:"uptime_s"`
	// CPU time of the process in user and kernel mode, seconds.
	UserS   float64 `json:"user_s"`
	SystemS float64 `json:"system_s"`
	// Syscalls counts the process's reads and writes of frames, sockets and files,
	// as the kernel does (/proc/self/io), and epoll_wait on TAP queues; not what
	// Go's runtime does for its own scheduling.
	Syscalls    uint64 `json:"syscalls"`
	Retransmits uint64 `json:"retransmits"`
	// Total sums the streams, those that have ended too.
	Total    ioarea.Stats    `json:"total"`
	Conns    []netstack.Conn `json:"conns"`
	Netstack *netstack.Stats `json:"netstack,omitempty"`
	SMB      *smbproto.Stats `json:"smb,omitempty"`
	Audit    *audit.Stats    `json:"audit,omitempty"`
	Process  processStats    `json:"process"`

	// beside is the CPU time of what had to run beside the server: who samples it adds it.
	beside time.Duration
}

// controlDir is where servers put their control sockets.
func controlDir() string {
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "ustack")
	}
	if os.Geteuid() == 0 {
		return "/run/ustack"
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("ustack-%d", os.Geteuid()))
}

func makeControlDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("directory of control sockets: %w", err)
	}
	return ownControlDir(dir)
}

// ownControlDir refuses a directory that somebody else may have made, where everybody may
// make one: what answers there could be his.
func ownControlDir(dir string) error {
	if filepath.Dir(dir) != filepath.Clean(os.TempDir()) {
		return nil
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("directory of control sockets: %w", err)
	}
	if st := fi.Sys().(*syscall.Stat_t); !fi.IsDir() || int(st.Uid) != os.Geteuid() || fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("directory of control sockets %s: %v of user %d, want a directory of this user that is closed to others: remove it, or set XDG_RUNTIME_DIR",
			dir, fi.Mode(), st.Uid)
	}
	return nil
}

// A control answers each connection to a Unix socket with a snapshot in JSON.
type control struct {
	path    string
	ln      net.Listener
	running sync.WaitGroup
}

// listenControl makes the socket, which is owner's. It answers when serve is called.
func listenControl(path string, owner *account) (*control, error) {
	if path == "" {
		dir, err := owner.controlDir()
		if err != nil {
			return nil, err
		}
		removeKilled(dir)
		path = filepath.Join(dir, fmt.Sprintf("%d.sock", os.Getpid()))
	}
	ln, err := listenUnix(path, owner)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &control{path: path, ln: ln}, nil
}

// serve answers until Close.
func (c *control) serve(ask func() snapshot) {
	c.running.Go(func() {
		for {
			conn, err := c.ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(acceptAgain)
				continue
			}
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			_ = json.NewEncoder(conn).Encode(ask()) // a reader that has left misses it
			conn.Close()
		}
	})
}

// listenUnix makes a socket, in the place of one that a server has left behind, and gives it to owner: nobody else may
// connect, not even for a moment.
func listenUnix(path string, owner *account) (net.Listener, error) {
	if most := len(unix.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return nil, fmt.Errorf("socket %s: the path has %d bytes, at most %d can be", path, len(path), most)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	old := unix.Umask(0o177)
	ln, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	if err := owner.own(path); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// removeKilled removes the control sockets of servers that could not do it themselves. One of a process that lives may be about to answer.
func removeKilled(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, "*.sock"))
	for _, path := range left {
		pid, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".sock"))
		if err == nil && pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = removeStale(path) // if it can't be, it is no worse than before
		}
	}
}

// removeStale removes a socket that a server has left behind, and only that.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("socket %s: something else is there", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return fmt.Errorf("socket %s: a server answers there already", path)
	}
	return os.Remove(path)
}

func (c *control) Close() error {
	if c == nil {
		return nil
	}
	err := c.ln.Close() // removes the socket too
	c.running.Wait()
	return err
}

func (s *server) snapshot(began time.Time) snapshot {
	process := readProcessStats() // before a list of connections takes memory
	snap := s.backend.Snapshot(!s.totals)
	if snap.Conns == nil {
		snap.Conns = []netstack.Conn{}
	}
	user, system := cpuTime()
	snap.PID, snap.Service, snap.Stack, snap.Addrs = os.Getpid(), s.service, s.backend.Kind(), s.addrs
	snap.Metrics = s.metrics
	snap.Syscalls += readsAndWrites()
	snap.Process = process
	snap.UptimeS = time.Since(began).Seconds()
	snap.UserS, snap.SystemS = user.Seconds(), system.Seconds()
	if s.extra != nil {
		s.extra(&snap)
	}
	return snap
}

// readSnapshot asks the server behind a control socket.
func readSnapshot(path string) (snapshot, error) {
	var s snapshot
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return s, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if err := json.NewDecoder(c).Decode(&s); err != nil {
		return s, fmt.Errorf("control socket %s: %w", path, err)
	}
	return s, nil
}
