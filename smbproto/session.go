package smbproto

import (
	"errors"
	"sync"
	"sync/atomic"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// session is a user's log-on, MS-SMB2 3.3.1.8, on one connection or, in SMB 3, several: its channels. Requests
// come over any of them, so what they share is guarded:
//   - remote, client, keys, user, anonymous, mustSign and mustSeal are set by the goroutine of the first channel before the
//     session is valid, and stay. Another connection comes to a session only when it has seen it valid, under mu.
//   - mu guards what stands below it. It is held for a moment, and no other lock is taken under it.
//   - an open is its own lock's, a tree does not change.
//
// Any goroutine may end a session: a channel's with LOGOFF, or another's with PreviousSessionId. The
// channels find it dead when their next request comes.
type session struct {
	srv *Server
	id  uint64

	remote    string   // the first channel's client, for the audit log
	client    [16]byte // ClientGuid of the first channel: whose leases it has
	keys      sessionKeys
	user      auth.Identity // who logged on first
	anonymous bool          // it was nobody: the keys are known to whoever listens
	mustSign  bool
	mustSeal  bool // Session.EncryptData

	mu       sync.Mutex
	valid    bool // a user has logged on; may be so while another exchange runs
	identity auth.Identity
	token    atomic.Pointer[sd.Token] // of identity; set under mu, and before valid
	expires  atomic.Int64             // Session.ExpirationTime, in seconds since 1970; 0 for never; likewise
	dead     bool
	channels []*channel
	trees    map[uint32]*tree
	opens    map[uint64]*open
	waiting  map[uint64]*pending // its requests that wait, by AsyncId
}

// sessionKeys are what a channel is bound with.
type sessionKeys struct {
	dialect wire.Dialect
	with    protection // of the first channel
	several bool       // its client knows of channels, and was told that there can be more
	signing []byte     // Session.SigningKey; nil for guests
	sealer  *crypt.Sealer
	opener  *crypt.Opener
}

// tree is a session's connection to a share, MS-SMB2 3.3.1.9.
type tree struct {
	id     uint32
	share  *share
	access wire.Access // the most that an open can get

	// Of SMB1, for its connection's goroutine alone:
	unix  bool // the client uses the UNIX extensions, and may change something by them
	posix bool // its names are those of POSIX
}

func (t *tree) isPipe() bool { return t.share.root == nil }

func (s *session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *session) isValid() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.valid && !s.dead
}

// expired says that the ticket has ended by which the user has logged on last, and only another log-on gets the session on.
func (s *session) expired() bool {
	at := s.expires.Load()
	return at != 0 && s.srv.cfg.Now().Unix() >= at
}

// identify makes a session its user's. mu is held.
func (s *session) identify(id auth.Identity) {
	s.token.Store(s.srv.token(id))
	s.identity = id
	if id.Anonymous {
		return // who proves nothing puts off no end
	}
	var expires int64
	if !id.Expires.IsZero() {
		expires = id.Expires.Unix()
	}
	s.expires.Store(expires)
}

// who is the user as whom the client has logged on last.
func (s *session) who() auth.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

func (s *session) tree(id uint32) *tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trees[id]
}

func (s *session) open(id wire.FileID) *open {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.opens[id.Volatile]; o != nil && o.id == id {
		return o
	}
	return nil
}

// addOpen fails if the session, or the tree, has ended meanwhile.
func (s *session) addOpen(o *open) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.trees[o.tree.id] != o.tree {
		return false
	}
	s.opens[o.id.Volatile] = o
	s.srv.counters.opens.Add(1)
	return true
}

// pipes counts the open pipes.
func (s *session) pipes() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.opens {
		if o.tree.isPipe() {
			n++
		}
	}
	return n
}

// dropOpen forgets an open that its holder closes.
func (s *session) dropOpen(o *open) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.opens[o.id.Volatile]; ok {
		delete(s.opens, o.id.Volatile)
		s.srv.counters.opens.Add(-1)
	}
}

// end closes all that the session has, but for opens that are kept for its client to come back. Any goroutine may call it, again too.
func (s *session) end() error {
	s.mu.Lock()
	return s.endLocked()
}

// endLocked is end for who holds the lock, and gives it up.
func (s *session) endLocked() error {
	if s.dead {
		s.mu.Unlock()
		return nil
	}
	s.dead = true
	opens := s.opens
	trees := s.trees
	s.opens, s.trees, s.channels = nil, nil, nil
	s.mu.Unlock()

	s.srv.removeSession(s.id)
	s.srv.counters.trees.Add(int64(-len(trees)))
	s.srv.counters.opens.Add(int64(-len(opens)))
	s.srv.counters.sessions.Add(-1)
	var errs []error
	for _, o := range opens {
		o.mu.Lock()
		errs = append(errs, o.part())
		o.mu.Unlock()
	}
	for _, t := range trees {
		errs = append(errs, t.share.drop())
	}
	s.auditLogOff()
	return errors.Join(errs...)
}

// endTree disconnects a tree and closes its opens; false if it has ended already: its id may be another's by now.
func (s *session) endTree(t *tree) (bool, error) {
	s.mu.Lock()
	if s.trees[t.id] != t {
		s.mu.Unlock()
		return false, nil
	}
	delete(s.trees, t.id)
	var opens []*open
	for key, o := range s.opens {
		if o.tree == t {
			opens = append(opens, o)
			delete(s.opens, key)
		}
	}
	s.mu.Unlock()

	s.srv.counters.trees.Add(-1)
	s.srv.counters.opens.Add(int64(-len(opens)))
	var errs []error
	for _, o := range opens {
		o.mu.Lock()
		errs = append(errs, o.release())
		o.mu.Unlock()
	}
	return true, errors.Join(append(errs, t.share.drop())...)
}
