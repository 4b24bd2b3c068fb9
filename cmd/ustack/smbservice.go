package main

import (
	"errors"
	"log/slog"
	"reflect"

	"golang.org/x/sys/unix"

	"ustack/smbproto"
	"ustack/smbproto/audit"
	"ustack/smbproto/auth"
	"ustack/smbproto/vfs"
)

// smbService is the SMB server of a command, whose settings can be read again. The goroutine that runs the command
// owns it; others use srv and audit, which stay.
type smbService struct {
	given *serveSMBCmd // as the command line has it
	now   *serveSMBCmd // as it was merged last
	log   *slog.Logger
	srv   *smbproto.Server // nil before open, as audit
	audit *audit.File      // nil: there is none

	kerberos *auth.Kerberos // the last that there was, for what it has seen
}

// checks look for what open would refuse, each at something else. They keep nothing open, and change nothing.
func (s *smbService) checks(cfg smbproto.Config) []func() error {
	cfg.Log = slog.New(slog.DiscardHandler) // open tells it
	return []func() error{
		func() error { users := cfg; return s.now.openUsers(&users, nil) },
		func() error { return audit.Check(s.now.Audit) },
		cfg.Check,
	}
}

// open opens what the server needs.
func (s *smbService) open(cfg smbproto.Config) (err error) {
	if err := s.now.openUsers(&cfg, nil); err != nil {
		return err
	}
	s.kerberos = cfg.Auth.Kerberos
	if s.now.Audit != "" {
		if s.audit, err = audit.Open(s.now.Audit, s.log); err != nil {
			return err
		}
		cfg.Audit = audit.NewLogger(s.audit)
	}
	if s.srv, err = smbproto.NewServer(cfg); err != nil {
		return err
	}
	s.now.access(&cfg).warn(s.log)
	warnOfFiles(cfg.Limits.MaxFiles, s.log)
	return nil
}

// close is called when all connections have been closed.
func (s *smbService) close() error {
	var errs []error
	if s.srv != nil {
		errs = append(errs, s.srv.Close())
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	return errors.Join(errs...)
}

// tell adds the server's counters to a snapshot.
func (s *smbService) tell(snap *snapshot) {
	st := s.srv.Stats()
	snap.SMB = &st
	if s.audit != nil {
		st := s.audit.Stats()
		snap.Audit = &st
	}
}

// reload reads the file of settings, and that of users, again. What is wrong with either changes nothing.
func (s *smbService) reload() {
	defer s.reopenAudit() // whatever is wrong with the settings: it may have been moved away
	next, cfg, err := s.read()
	if err != nil {
		s.log.Error("the settings stay as they were", "err", err)
		return
	}
	later := next.keepFixed(s.now)
	ch, err := s.srv.Reconfigure(cfg)
	if err != nil {
		s.log.Error("the settings stay as they were", "err", err)
		return
	}
	s.now = next
	if cfg.Auth.Kerberos != nil {
		s.kerberos = cfg.Auth.Kerberos
	}
	s.log.Info("settings read again", "shares_added", ch.Added, "shares_changed", ch.Changed, "shares_removed", ch.Removed, "trees_ended", ch.Ended)
	for _, setting := range later {
		s.log.Warn("needs a restart to change", "setting", setting)
	}
	next.access(&cfg).warn(s.log)
	warnOfFiles(cfg.Limits.MaxFiles, s.log)
}

// warnOfFiles logs that clients can open more files than there are descriptors for: those that are left then can't be opened, and no
// connection comes in.
func warnOfFiles(most int, log *slog.Logger) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(most) <= limit.Cur/vfs.DescriptorsPerFile {
		return
	}
	log.Warn("more files may be open than there are descriptors for (ulimit -n)", "limits.files", most, "descriptors", limit.Cur,
		"descriptors_per_file", vfs.DescriptorsPerFile)
}

func (s *smbService) reopenAudit() {
	if s.audit == nil {
		return
	}
	if err := s.audit.Reopen(s.now.Audit); err != nil {
		s.log.Error("the audit log goes on to the file that it had", "err", err)
	}
}

func (s *smbService) read() (*serveSMBCmd, smbproto.Config, error) {
	next, err := s.given.merged()
	if err != nil {
		return nil, smbproto.Config{}, err
	}
	cfg, err := next.settings(s.log)
	if err == nil {
		err = next.openUsers(&cfg, s.kerberos)
	}
	return next, cfg, err
}

// keepFixed leaves as it was what a running server can't change, and returns what the user calls it.
func (c *serveSMBCmd) keepFixed(was *serveSMBCmd) (labels []string) {
	for _, v := range []struct {
		flag      string
		next, was any // pointers
	}{
		{"stack", &c.Stack, &was.Stack},
		{"tap", &c.TAP, &was.TAP},
		{"addr", &c.Addr, &was.Addr},
		{"host-addr", &c.HostAddr, &was.HostAddr},
		{"gateway", &c.Gateway, &was.Gateway},
		{"port", &c.Port, &was.Port},
		{"congestion", &c.Congestion, &was.Congestion},
		{"max-conns", &c.MaxConns, &was.MaxConns},
		{"ring-in", &c.RingIn, &was.RingIn},
		{"ring-out", &c.RingOut, &was.RingOut},
		{"shards", &c.Shards, &was.Shards},
		{"cpu", &c.CPU, &was.CPU},
		{"procs", &c.Procs, &was.Procs},
		{"name", &c.Name, &was.Name},
		{"workgroup", &c.Workgroup, &was.Workgroup},
		{"machine-sid", &c.MachineSID, &was.MachineSID},
		{"control", &c.Control, &was.Control},
		{"user", &c.User, &was.User},
		{"metrics", &c.Metrics, &was.Metrics},
		{"max-io", &c.MaxIO, &was.MaxIO},
	} {
		if next := reflect.ValueOf(v.next).Elem(); !reflect.DeepEqual(v.next, v.was) {
			next.Set(reflect.ValueOf(v.was).Elem())
			labels = append(labels, c.label(v.flag))
		}
	}
	if (c.Audit == "") != (was.Audit == "") {
		c.Audit = was.Audit
		labels = append(labels, c.label("audit"))
	}
	return labels
}
