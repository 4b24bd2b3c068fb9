package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ustack/smbproto"
)

// merged is the command as its flags and its file have it together: a flag that was given counts, and not what the
// file says of the same. A list that a flag gives takes the place of the file's whole list.
func (c *serveSMBCmd) merged() (*serveSMBCmd, error) {
	m := *c
	m.shares, m.keys = nil, map[string]string{}
	for _, s := range c.Share {
		sh, err := parseShare(s)
		if err != nil {
			return nil, err
		}
		m.shares = append(m.shares, sh)
	}
	if c.Config != "" {
		file, err := readSMBFile(c.Config)
		if err != nil {
			return nil, fmt.Errorf("--config: %w", err)
		}
		if err := m.take(file); err != nil {
			return nil, fmt.Errorf("--config %s: %w", c.Config, err)
		}
	}
	switch {
	case len(m.Addr) == 0:
		return nil, fmt.Errorf("no address to serve at: give --addr, or network.addresses in the file of --config")
	case len(m.shares) == 0:
		return nil, fmt.Errorf("nothing to share: give --share, or tables [share.NAME] in the file of --config")
	}
	return &m, m.checkOn()
}

// takeKey has a key of the file count, unless its flag was given.
func takeKey[T any](m *serveSMBCmd, flag, key string, to, from *T) {
	if from == nil || m.given[flag] {
		return
	}
	*to, m.keys[flag] = *from, m.Config+": "+key
}

func takeList[T any](m *serveSMBCmd, flag, key string, to *[]T, from []T) {
	if from != nil {
		takeKey(m, flag, key, to, &from)
	}
}

func (m *serveSMBCmd) take(f *smbFile) error {
	n := &f.Network
	takeKey(m, "stack", "network.stack", &m.Stack, n.Stack)
	takeKey(m, "tap", "network.tap", &m.TAP, n.TAP)
	takeList(m, "addr", "network.addresses", &m.Addr, n.Addresses)
	takeList(m, "host-addr", "network.host_addresses", &m.HostAddr, n.HostAddresses)
	takeList(m, "gateway", "network.gateways", &m.Gateway, n.Gateways)
	takeList(m, "port", "network.ports", &m.Port, n.Ports)
	takeKey(m, "congestion", "network.congestion", &m.Congestion, n.Congestion)
	takeKey(m, "max-conns", "network.max_connections", &m.MaxConns, n.MaxConnections)
	takeKey(m, "ring-in", "network.ring_in", &m.RingIn, n.RingIn)
	takeKey(m, "ring-out", "network.ring_out", &m.RingOut, n.RingOut)
	takeKey(m, "shards", "network.shards", &m.Shards, n.Shards)
	takeList(m, "cpu", "network.processors", &m.CPU, n.Processors)
	takeKey(m, "procs", "network.procs", &m.Procs, n.Procs)

	s := &f.Server
	takeKey(m, "name", "server.name", &m.Name, s.Name)
	takeKey(m, "workgroup", "server.workgroup", &m.Workgroup, s.Workgroup)
	takeKey(m, "comment", "server.comment", &m.Comment, s.Comment)
	takeKey(m, "user", "server.user", &m.User, s.User)
	takeKey(m, "machine-sid", "server.sid", &m.MachineSID, s.SID)
	takeKey(m, "control", "server.control", &m.Control, m.beside(s.Control))
	takeKey(m, "audit", "server.audit", &m.Audit, m.beside(s.Audit))
	takeKey(m, "metrics", "server.metrics", &m.Metrics, s.Metrics)

	sec := &f.Security
	for key, file := range map[string]*string{"users": sec.Users, "keytab": sec.Keytab} {
		if file != nil && *file == "" {
			return fmt.Errorf("security.%s is empty: want a file; who wants none leaves it out", key)
		}
	}
	takeKey(m, "user-file", "security.users", &m.UserFile, m.beside(sec.Users))
	takeList(m, "admin", "security.administrators", &m.Admin, sec.Admins)
	takeKey(m, "keytab", "security.keytab", &m.Keytab, m.beside(sec.Keytab))
	takeKey(m, "guest", "security.guests", &m.Guest, &sec.Guests)
	takeKey(m, "encrypt", "security.encryption", &m.Encrypt, sec.Encryption)
	for _, v := range []struct {
		flag, key string
		to        *protocol
		from      *string
	}{
		{"min-protocol", "security.min_protocol", &m.MinProtocol, sec.MinProtocol},
		{"max-protocol", "security.max_protocol", &m.MaxProtocol, sec.MaxProtocol},
	} {
		if v.from == nil {
			continue
		}
		var p protocol
		if err := p.UnmarshalText([]byte(*v.from)); err != nil {
			return fmt.Errorf("%s %w", v.key, err)
		}
		takeKey(m, v.flag, v.key, v.to, &p)
	}
	if v := sec.Signing; v != nil {
		if *v != "offered" && *v != "required" {
			return fmt.Errorf("security.signing %q: want offered or required", *v)
		}
		required := *v == "required"
		takeKey(m, "require-signing", "security.signing", &m.RequireSigning, &required)
	}
	if err := m.takeLimits(f); err != nil {
		return err
	}
	if !m.given["share"] {
		return m.takeShares(f.Share)
	}
	return nil
}

func (m *serveSMBCmd) takeLimits(f *smbFile) error {
	l := &f.Limits
	takeKey(m, "max-io", "limits.max_io", &m.MaxIO, l.MaxIO)
	for _, v := range []struct {
		flag, key string
		to        *time.Duration
		from      *string
	}{
		{"request-timeout", "limits.request_timeout", &m.RequestTimeout, l.RequestTimeout},
		{"idle-timeout", "limits.idle_timeout", &m.IdleTimeout, l.IdleTimeout},
	} {
		if v.from == nil {
			continue
		}
		d, err := time.ParseDuration(*v.from)
		if err != nil {
			return fmt.Errorf("%s: %w: want a time such as 30s or 15m", v.key, err)
		}
		takeKey(m, v.flag, v.key, v.to, &d)
	}
	for _, v := range []struct {
		key  string
		to   *time.Duration
		from *string
	}{
		{"durable_timeout", &m.limits.DurableTimeout, l.DurableTimeout},
		{"max_durable_timeout", &m.limits.MaxDurableTimeout, l.MaxDurableTimeout},
	} {
		if v.from == nil {
			continue
		}
		d, err := time.ParseDuration(*v.from)
		switch {
		case err != nil:
			return fmt.Errorf("limits.%s: %w: want a time such as 2m or 1h", v.key, err)
		case d < time.Second:
			return fmt.Errorf("limits.%s %v: want at least 1s", v.key, d)
		}
		*v.to = d
	}
	if err := m.limits.Check(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	for _, v := range []struct {
		key  string
		to   *int
		from *int
	}{
		{"sessions", &m.limits.MaxSessions, l.Sessions},
		{"client_connections", &m.limits.MaxClientConns, l.ClientConns},
		{"channels", &m.limits.MaxChannels, l.Channels},
		{"trees", &m.limits.MaxTrees, l.Trees},
		{"opens", &m.limits.MaxOpens, l.Opens},
		{"files", &m.limits.MaxFiles, l.Files},
		{"credits", &m.limits.MaxCredits, l.Credits},
		{"compound", &m.limits.MaxCompound, l.Compound},
		{"pending", &m.limits.MaxPending, l.Pending},
		{"disconnected", &m.limits.MaxDisconnected, l.Disconnected},
		{"client_disconnected", &m.limits.MaxClientDisconnected, l.ClientDisconnected},
	} {
		if v.from == nil {
			continue
		}
		if *v.from < 1 {
			return fmt.Errorf("limits.%s %d: want at least 1", v.key, *v.from)
		}
		*v.to = *v.from
		if err := m.limits.Check(); err != nil {
			return fmt.Errorf("limits.%s %d: %w", v.key, *v.from, err)
		}
	}
	return nil
}

func (m *serveSMBCmd) takeShares(shares map[string]smbFileShare) error {
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		sh := shares[name]
		if sh.Path == "" {
			return fmt.Errorf("share.%s: no path", name)
		}
		if sh.Users != nil && len(sh.Users) == 0 {
			return fmt.Errorf("share.%s.users is empty: want names; a share that is for everybody has no such key", name)
		}
		guests := len(sh.Users) == 0
		if sh.Guests != nil {
			guests = *sh.Guests
		}
		m.shares = append(m.shares, smbproto.Share{
			Name: name, Path: *m.beside(&sh.Path), Comment: sh.Comment, ReadOnly: sh.ReadOnly, Encrypt: sh.Encrypt,
			Users: sh.Users, NoGuests: !guests,
		})
	}
	return nil
}

// beside is a path of the file, from its directory.
func (m *serveSMBCmd) beside(path *string) *string {
	if path == nil || *path == "" || filepath.IsAbs(*path) {
		return path
	}
	p := filepath.Join(filepath.Dir(m.Config), *path)
	return &p
}

// checkOn refuses what the stack does not look at. Of a file that was written for another stack than --stack
// says, it is ignored.
func (m *serveSMBCmd) checkOn() error {
	if stacks := []string{"netstack", "kernel", "stock"}; !slices.Contains(stacks, m.Stack) {
		return fmt.Errorf("%s %q: want one of %s", m.label("stack"), m.Stack, strings.Join(stacks, ", "))
	}
	for flag, on := range m.on {
		_, byFile := m.keys[flag]
		if (m.given[flag] || byFile && !m.given["stack"]) && !slices.Contains(on, m.Stack) {
			return fmt.Errorf("%s: only with %s %s", m.label(flag), m.label("stack"), strings.Join(on, " or "))
		}
	}
	return nil
}
