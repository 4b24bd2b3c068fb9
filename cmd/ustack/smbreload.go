package main

import (
	"log/slog"
	"reflect"

	"ustack/smbproto"
	"ustack/smbproto/audit"
)

// smbReload reads settings again for a server that serves. One goroutine calls it.
type smbReload struct {
	given *serveSMBCmd // as the command line has it
	now   *serveSMBCmd // as it was merged last
	srv   *smbproto.Server
	audit *audit.File // nil: there is none
	log   *slog.Logger
}

// reload reads the file of settings, and that of users, again. What is wrong with either changes nothing.
func (r *smbReload) reload() {
	defer r.reopenAudit() // whatever is wrong with the settings: it may have been moved away
	next, cfg, err := r.read()
	if err != nil {
		r.log.Error("the settings stay as they were", "err", err)
		return
	}
	later := next.keepFixed(r.now)
	ch, err := r.srv.Reconfigure(cfg)
	if err != nil {
		r.log.Error("the settings stay as they were", "err", err)
		return
	}
	r.now = next
	r.log.Info("settings read again", "shares_added", ch.Added, "shares_changed", ch.Changed, "shares_removed", ch.Removed, "trees_ended", ch.Ended)
	for _, setting := range later {
		r.log.Warn("needs a restart to change", "setting", setting)
	}
	next.access(&cfg).warn(r.log)
}

func (r *smbReload) reopenAudit() {
	if r.audit == nil {
		return
	}
	if err := r.audit.Reopen(r.now.Audit); err != nil {
		r.log.Error("the audit log goes on to the file that it had", "err", err)
	}
}

func (r *smbReload) read() (*serveSMBCmd, smbproto.Config, error) {
	next, err := r.given.merged()
	if err != nil {
		return nil, smbproto.Config{}, err
	}
	cfg, err := next.settings(r.log)
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
		{"control", &c.Control, &was.Control},
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
