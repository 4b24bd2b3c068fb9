package smbproto

import (
	"errors"
	"sync"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// session is a user's log-on, MS-SMB2 3.3.1.8. It belongs to its connection's
// goroutine, but another may end it.
type session struct {
	srv  *Server
	conn *Conn
	id   uint64

	exchange *auth.Exchange
	signer   *crypt.Signer // nil for guests
	sealer   *crypt.Sealer // nil where nothing can be encrypted: for guests, too
	opener   *crypt.Opener // likewise
	mustSign bool
	mustSeal bool          // Session.EncryptData
	preauth  crypt.Preauth // of the connection and this log-on, in dialect 3.1.1

	mu       sync.Mutex
	valid    bool // a user has logged on; may be so while another exchange runs
	identity auth.Identity
	dead     bool
	trees    map[uint32]*tree
	opens    map[uint64]*open
}

// tree is a session's connection to a share, MS-SMB2 3.3.1.9.
type tree struct {
	id     uint32
	share  *share
	access wire.Access // the most that an open can get
}

func (t *tree) isPipe() bool { return t.share.root == nil }

func (s *session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
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

// end closes all that the session has. Any goroutine may call it, again too.
func (s *session) end() error {
	s.srv.removeSession(s.id)
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return nil
	}
	s.dead = true
	opens := s.opens
	trees := s.trees
	s.opens, s.trees = nil, nil
	s.mu.Unlock()

	s.srv.counters.trees.Add(int64(-len(trees)))
	s.srv.counters.opens.Add(int64(-len(opens)))
	s.srv.counters.sessions.Add(-1)
	var errs []error
	for _, o := range opens {
		o.mu.Lock()
		errs = append(errs, o.release())
		o.mu.Unlock()
	}
	for _, t := range trees {
		errs = append(errs, t.share.drop())
	}
	return errors.Join(errs...)
}

// endTree disconnects a tree and closes its opens; false if there is none.
func (s *session) endTree(id uint32) (bool, error) {
	s.mu.Lock()
	t := s.trees[id]
	if t == nil {
		s.mu.Unlock()
		return false, nil
	}
	delete(s.trees, id)
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
