package smbproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"ustack/ioarea"
	"ustack/smbproto/rpc"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

const ipcName = "IPC$"

// Server holds what connections have in common. It may be used from any goroutine.
type Server struct {
	cfg   Config // as the server was made: what Reconfigure may change is in settings
	set   atomic.Pointer[settings]
	pipes []*rpc.Server // of IPC$

	files    fileTable
	budget   *vfs.Budget // of MaxFiles
	loans    *vfs.Loans  // what READs have lent
	counters counters
	clients  clients
	fileIDs  atomic.Uint64
	asyncIDs atomic.Uint64 // of all connections: a request may be cancelled over another channel
	watches  atomic.Int64  // directories that clients watch

	changing sync.Mutex // one reconfigures at a time; comes before all other locks

	mu       sync.Mutex
	sessions map[uint64]*session
	watching *vfs.Watcher // of directories; nil before the first is asked for
}

// NewServer opens the shares.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		sessions: map[uint64]*session{},
		budget:   vfs.NewBudget(cfg.Limits.MaxFiles),
		loans:    vfs.NewLoans(),
	}
	s.files.files, s.files.log = map[vfs.ID]*fileState{}, cfg.Log
	set, err := s.open(cfg, nil)
	if err != nil {
		return nil, errors.Join(err, s.closeWatcher())
	}
	s.set.Store(set)
	cfg.Log.Info("the SIDs of users begin with the machine's", "machine_sid", cfg.MachineSID.String())
	s.pipes = []*rpc.Server{
		rpc.NewSrvsvc(cfg.Auth.ServerName, func() []rpc.Share { return s.settings().list }),
		rpc.NewWkssvc(cfg.Auth.ServerName, cfg.Auth.Domain),
	}
	return s, nil
}

// Close closes the shares' directories, and the files that are kept for clients to come back. All connections must have been
// closed before.
func (s *Server) Close() error {
	s.files.evictAll(func(*open) bool { return true })
	var errs []error
	for _, sh := range s.settings().shares {
		errs = append(errs, sh.drop())
	}
	s.loans.Close()
	return errors.Join(append(errs, s.closeWatcher())...)
}

func (s *Server) closeWatcher() error {
	if s.watching == nil {
		return nil
	}
	return s.watching.Close()
}

// Framing is the room beside the payload of the largest request and reply:
// headers, that of encryption among them, fixed bodies, and what a compound puts around a payload.
const framing = 4 << 10

// RingSize says how large the largest request and the largest reply are, in
// bytes: a ring must hold one, and holds 4 for the design's default.
func (s *Server) RingSize() (in, out int) { return s.cfg.Limits.RingSize() }

// RingSize is that of a server of these limits, of which MaxRead, MaxWrite and MaxTransact are set.
func (l *Limits) RingSize() (in, out int) {
	return max(l.MaxWrite, l.MaxTransact) + framing, max(l.MaxRead, l.MaxTransact) + framing
}

// LeastRing is the smallest ring that a connection can be served in, bytes: a log-on and
// a payload of 4 KiB fit it.
const LeastRing = 16 << 10

// CheckRings says whether connections can be served in rings of these sizes. Those that are
// smaller than RingSize lower what a READ or WRITE may carry.
func CheckRings(in, out int) error {
	if in < LeastRing || out < LeastRing {
		return fmt.Errorf("%w: rings of %d and %d bytes, want at least %d each", ErrConfig, in, out, LeastRing)
	}
	return nil
}

// Serve answers the requests of one connection until it ends, and then gives up
// all that the connection held. It returns nil if the connection ended in order. A client that breaks the
// protocol gets the answers to what came before, and is left.
func (s *Server) Serve(a *ioarea.Area) error {
	if err := CheckRings(a.In.Cap(), a.Out.Cap()); err != nil {
		a.Abort(err)
		return err
	}
	var peer net.Addr
	if st := a.Stream(); st != nil {
		peer = st.RemoteAddr()
	}
	addr := addrOf(peer)
	if !s.clients.enter(addr, s.settings().cfg.Limits.MaxClientConns) {
		a.Abort(errTooMany)
		return errTooMany
	}
	defer s.clients.leave(addr)
	c := s.NewConn(a)
	var broken error
	err := ioarea.Serve(a, ioarea.HandlerFunc(func(a *ioarea.Area) (ioarea.Next, error) {
		next, err := c.Handle(a)
		if errors.Is(err, wire.ErrMalformed) {
			broken, err = err, errHangUp // the answers before it still reach the client
		}
		return next, err
	}))
	switch {
	case broken != nil:
		c.log.Warn("connection ended: the client breaks the protocol", "cause", broken)
	case err != nil:
		c.log.Info("connection aborted", "cause", err)
	}
	return errors.Join(broken, err, c.Close())
}

// addSession gives a session an id that nobody can guess: it is all that
// PreviousSessionId needs besides the user's log-on.
func (s *Server) addSession(sess *session) error {
	var b [8]byte
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if _, err := io.ReadFull(s.cfg.Rand, b[:]); err != nil {
			return err
		}
		id := binary.LittleEndian.Uint64(b[:])
		if _, taken := s.sessions[id]; id == 0 || id == ^uint64(0) || taken {
			continue
		}
		sess.id = id
		s.sessions[id] = sess
		return nil
	}
}

func (s *Server) removeSession(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, id)
}

func (s *Server) session(id uint64) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// share finds a share by the path of a TREE_CONNECT, \\server\share: any server
// name is ours.
func (s *Server) share(path string) *share {
	rest, ok := strings.CutPrefix(path, `\\`)
	if !ok {
		return nil
	}
	_, name, ok := strings.Cut(rest, `\`)
	if !ok {
		return nil
	}
	return s.settings().shares[strings.ToUpper(name)]
}

func (s *Server) newFileID() wire.FileID {
	n := s.fileIDs.Add(1)
	return wire.FileID{Persistent: n, Volatile: n}
}
