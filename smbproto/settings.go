package smbproto

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"ustack/smbproto/rpc"
	"ustack/smbproto/vfs"
)

// settings are what Reconfigure exchanges as a whole. They do not change: a connection keeps those that it began with for its
// dialects, protection and limits; log-ons and tree connects look at the server's own.
type settings struct {
	cfg    Config
	shares map[string]*share // by upper-case name, IPC$ among them
	list   []rpc.Share
}

// settings are those of now.
func (s *Server) settings() *settings { return s.set.Load() }

// Changes are what Reconfigure has done to shares, by name. Those that have changed hold for new tree connects, and are as they
// were for others.
type Changes struct {
	Added, Changed, Removed []string
	// Ended counts the tree connects to shares that were removed.
	Ended int
}

// Reconfigure exchanges the settings of a server that serves: its shares, who may log on, dialects, signing, encryption, and
// limits. Sessions stay; tree connects to a share that is there no more are ended, and their files closed. Dialects, signing,
// encryption and limits hold for new connections, but for MaxFiles, which holds at once. What a server is made with stays as it
// was: its names, its SID, its GUID, its clock, its logs, and the largest READ, WRITE and transaction, by which rings have been made.
// After an error all is as it was. It may be called from any goroutine.
func (s *Server) Reconfigure(cfg Config) (Changes, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	old := s.settings()
	s.keepFixed(&cfg)
	if err := cfg.setDefaults(); err != nil {
		return Changes{}, err
	}
	next, err := s.open(cfg, old)
	if err != nil {
		return Changes{}, err
	}
	s.set.Store(next)
	s.budget.SetMost(cfg.Limits.MaxFiles)
	return s.retire(old, next), nil
}

// keepFixed takes what can't change from the settings that there are.
func (s *Server) keepFixed(cfg *Config) {
	f := &s.cfg
	cfg.MachineSID = f.MachineSID
	cfg.GUID, cfg.Audit, cfg.Log, cfg.Now, cfg.Rand, cfg.Interfaces = f.GUID, f.Audit, f.Log, f.Now, f.Rand, f.Interfaces
	cfg.Auth.ServerName, cfg.Auth.Domain, cfg.Auth.Now, cfg.Auth.Rand = f.Auth.ServerName, f.Auth.Domain, f.Auth.Now, f.Auth.Rand
	cfg.Latency = f.Latency
	l := &f.Limits
	cfg.Limits.MaxRead, cfg.Limits.MaxWrite, cfg.Limits.MaxTransact = l.MaxRead, l.MaxWrite, l.MaxTransact
}

// open opens the shares that old has not, or not where their paths lead now; old is nil for the first.
func (s *Server) open(cfg Config, old *settings) (*settings, error) {
	next := &settings{cfg: cfg, shares: map[string]*share{}}
	if old == nil {
		next.shares[ipcName] = newShare(Share{Name: ipcName}, nil)
	} else {
		next.shares[ipcName] = old.shares[ipcName]
	}
	var opened []*share
	for _, sh := range cfg.Shares {
		key := strings.ToUpper(sh.Name)
		next.list = append(next.list, rpc.Share{Name: sh.Name, Comment: sh.Comment, Type: rpc.ShareTypeDisk})
		if old != nil {
			if was := old.shares[key]; was != nil && reflect.DeepEqual(was.Share, sh) && s.stays(was) {
				next.shares[key] = was
				continue
			}
		}
		root, err := vfs.OpenRoot(sh.Path, vfs.Options{ReadOnly: sh.ReadOnly, FileMode: sh.FileMode, DirMode: sh.DirMode, Budget: s.budget, Loans: s.loans, Watcher: s.watcher, Watched: s.watched})
		if err != nil {
			errs := []error{shareError(sh, err)}
			for _, o := range opened {
				errs = append(errs, o.drop())
			}
			return nil, errors.Join(errs...)
		}
		next.shares[key] = newShare(sh, root)
		opened = append(opened, next.shares[key])
	}
	next.list = append(next.list, rpc.Share{Name: ipcName, Comment: cfg.Comment, Type: rpc.ShareTypeIPC})
	return next, nil
}

// stays reports whether a share's path does not lead elsewhere. One that leads nowhere keeps nobody from changing the settings: its
// disk may be away while a user has to go.
func (s *Server) stays(sh *share) bool {
	elsewhere, err := sh.root.Elsewhere(sh.Path)
	if err != nil {
		s.cfg.Log.Warn("the share stays that of the directory that was there", "share", sh.Name, "cause", err)
	}
	return err != nil || !elsewhere
}

// retire lets go of the shares that next has not, and says what has changed.
func (s *Server) retire(old, next *settings) (ch Changes) {
	for _, key := range slices.Sorted(maps.Keys(next.shares)) {
		switch was := old.shares[key]; {
		case was == nil:
			ch.Added = append(ch.Added, next.shares[key].Name)
		case was != next.shares[key]:
			ch.Changed = append(ch.Changed, was.Name)
		}
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(old.shares)) {
		was := old.shares[key]
		if next.shares[key] == was {
			continue
		}
		if next.shares[key] == nil {
			ch.Removed = append(ch.Removed, was.Name)
			n, err := s.endTrees(was)
			ch.Ended += n
			errs = append(errs, err)
		}
		errs = append(errs, was.drop())
	}
	if err := errors.Join(errs...); err != nil {
		s.cfg.Log.Warn("closing what is shared no more", "cause", err)
	}
	return ch
}

// endTrees ends all tree connects to a share, and keeps new ones off. Those of a share that was changed before are to another.
func (s *Server) endTrees(sh *share) (n int, err error) {
	sh.gone.Store(true)
	s.mu.Lock()
	sessions := slices.Collect(maps.Values(s.sessions))
	s.mu.Unlock()
	var errs []error
	for _, sess := range sessions {
		for _, t := range sess.treesOf(sh.Name) {
			ended, err := sess.endTree(t)
			if ended {
				n++
			}
			errs = append(errs, err)
		}
	}
	s.files.evictAll(func(o *open) bool { return strings.EqualFold(o.held.Name, sh.Name) })
	s.tellChanges()
	return n, errors.Join(errs...)
}

// treesOf are a session's trees of a share's name.
func (s *session) treesOf(name string) (trees []*tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.trees {
		if strings.EqualFold(t.share.Name, name) {
			trees = append(trees, t)
		}
	}
	return trees
}
