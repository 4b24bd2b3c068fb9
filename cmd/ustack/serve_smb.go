package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/bits"
	"os"
	"strings"
	"time"

	"ustack/ioarea"
	"ustack/smbproto"
	"ustack/smbproto/auth"
)

// messagesInRing is how many of the largest messages an in ring holds at most: "around 3 to 4
// times the size of SMB request size" (the mail). Of the largest replies an out ring holds at most
// repliesInRing: in more, they lie until they have left the near caches, and a client gets files
// more slowly.
const (
	messagesInRing = 4
	repliesInRing  = 2
)

// powerBelow is the largest power of two that is not above n: a ring's size, which is never
// rounded up to nearly twice of what is of use.
func powerBelow(n int) int { return 1 << (bits.Len(uint(n)) - 1) }

type serveSMBCmd struct {
	stackFlags
	Config         string        `help:"File of settings, in TOML (docs/ustack.toml explains it). A flag that is given counts for more." type:"path"`
	Port           []uint16      `help:"TCP port; at 139 clients come by the NetBIOS session service. May be repeated." default:"445"`
	Share          []string      `help:"NAME=PATH, with ',ro' behind it for a share that is only read, ',encrypt' for one that must be encrypted. May be repeated." sep:"none"`
	UserFile       string        `help:"File of users, as 'ustack smb user' keeps it." type:"path"`
	Keytab         string        `help:"Keys of the server in a Kerberos realm: its users are let in, by tickets for cifs/HOST. Read again at SIGHUP." type:"path"`
	Guest          *bool         `help:"Let in as guest who has no account (default: only where there is neither --user-file nor --keytab)." negatable:""`
	Admin          []string      `help:"User who may take ownership of files and give it away, and read and set SACLs. May be repeated." sep:"none"`
	MachineSID     string        `name:"machine-sid" help:"SID that the SIDs of users begin with, S-1-5-21-A-B-C (default: of the server's name)."`
	Comment        string        `help:"What the server is described by in lists." default:"ustack"`
	Name           string        `help:"NetBIOS name of the server (default: this machine's)."`
	Workgroup      string        `help:"NetBIOS name of its domain." default:"WORKGROUP"`
	RequireSigning bool          `help:"Refuse requests that are not signed, and with them guests."`
	MinProtocol    protocol      `help:"Least dialect: NT1 (which is SMB1), SMB2_02, SMB2_10, SMB3_00, SMB3_02 or SMB3_11." default:"SMB2_02"`
	MaxProtocol    protocol      `help:"Greatest dialect." default:"SMB3_11"`
	Encrypt        string        `help:"Encryption: off, offered or required. Required refuses guests, and clients below SMB3_00." enum:"off,offered,required" default:"offered"`
	MaxIO          byteSize      `name:"max-io" help:"Largest READ and WRITE." default:"1MiB"`
	Audit          string        `help:"File to which what users do is appended, an event a line, in JSON. Opened again at SIGHUP." type:"path"`
	RequestTimeout time.Duration `help:"Longest that a request, once begun, may rest." default:"30s"`
	IdleTimeout    time.Duration `help:"Longest that a connection may rest between requests." default:"15m"`

	given map[string]bool     // flags that are on the command line
	on    map[string][]string // flags that not every stack looks at, and those that do

	// What flags and file have been merged to.
	shares []smbproto.Share
	limits smbproto.Limits // those that have no flag
}

func (c *serveSMBCmd) Help() string {
	return `
Examples:

  ustack serve smb --share pub=/srv/pub --addr 10.77.0.2/24 --host-addr 10.77.0.1/24
  ustack smb user add --user-file users alice
  ustack serve smb --share pub=/srv/pub,ro --share home=/srv/home --user-file users \
      --stack kernel --addr 127.0.0.1 --port 4450

A change of the file of users holds from the next log-on; who is logged on stays so.
SIGHUP has the file of --config read again: shares, users and limits may change. SIGTERM and Ctrl-C let requests that have begun end first.

What is encrypted needs a user and SMB3_00 or later, what must be signed a user. A guest may do
whatever the share allows: give --user-file, or share with ,ro, where that is not meant.
`
}

func (c *serveSMBCmd) Run(ctx context.Context, log *slog.Logger) error {
	m, err := c.merged()
	if err != nil {
		return err
	}
	cfg, err := m.settings(log)
	if err != nil {
		return err
	}
	in, out := cfg.Limits.RingSize()
	in, out = powerBelow(messagesInRing*in), powerBelow(repliesInRing*out)
	if err := smbproto.CheckRings(cmp.Or(int(m.RingIn), in), cmp.Or(int(m.RingOut), out)); err != nil {
		return fmt.Errorf("%s %d, %s %d: %w", m.label("ring-in"), m.RingIn, m.label("ring-out"), m.RingOut, err)
	}
	service := &smbService{given: c, now: m, log: log}
	err = m.run(ctx, log, m.Port, in, out, &server{
		service: "smb",
		checks:  service.checks(cfg),
		prepare: func() error { return service.open(cfg) },
		hangUp:  service.reload,
		serve:   func(a *ioarea.Area) error { return service.srv.Serve(a) },
		extra:   service.tell,
	})
	return errors.Join(err, service.close())
}

// settings are the server's, from a command that is merged, but for the users, which openUsers adds.
func (c *serveSMBCmd) settings(log *slog.Logger) (smbproto.Config, error) {
	var cfg smbproto.Config
	if err := c.check(); err != nil {
		return cfg, err
	}
	least, greatest, err := c.protocols()
	if err != nil {
		return cfg, err
	}
	encryption, err := parseEncryption(c.label("encrypt"), c.Encrypt)
	if err != nil {
		return cfg, err
	}
	machine, err := parseMachineSID(c.label("machine-sid"), c.MachineSID)
	if err != nil {
		return cfg, err
	}
	guest := c.UserFile == "" && c.Keytab == ""
	if c.Guest != nil {
		guest = *c.Guest
	}
	cfg = smbproto.Config{
		Auth:           auth.Config{Guest: guest, ServerName: cmp.Or(c.Name, netbiosName()), Domain: c.Workgroup},
		Shares:         c.shares,
		MinDialect:     least,
		MaxDialect:     greatest,
		RequireSigning: c.RequireSigning,
		Encryption:     encryption,
		Comment:        c.Comment,
		Limits:         c.limits,
		Interfaces:     c.interfaces(),
		Latency:        c.Metrics != "",
		Admins:         c.Admin,
		MachineSID:     machine,
		Log:            log,
	}
	l := &cfg.Limits
	l.MaxRead, l.MaxWrite, l.MaxTransact = int(c.MaxIO), int(c.MaxIO), int(c.MaxIO)
	l.RequestTimeout, l.IdleTimeout = c.RequestTimeout, c.IdleTimeout
	return cfg, c.access(&cfg).check()
}

// openUsers opens the file of users and the keytab for a server of these settings; before is what was used until now, or nil.
func (c *serveSMBCmd) openUsers(cfg *smbproto.Config, before *auth.Kerberos) error {
	if c.UserFile != "" {
		users, err := auth.OpenUserFile(c.UserFile)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: make it with ustack smb user add --user-file %s NAME", err, c.UserFile)
		}
		if err != nil {
			return err
		}
		cfg.Auth.Users = freshUsers{users, cfg.Log}
	}
	if c.Keytab == "" {
		return nil
	}
	k, err := auth.OpenKeytab(c.Keytab, before)
	if err != nil {
		return err
	}
	cfg.Auth.Kerberos = k
	cfg.Log.Info("Kerberos", "services", k.Services())
	return nil
}

// access tells who may use a server of these settings.
func (c *serveSMBCmd) access(cfg *smbproto.Config) smbAccess {
	a := smbAccess{userFile: c.UserFile, keytab: c.Keytab != "", cfg: cfg, flags: c.stackFlags}
	if u, ok := cfg.Auth.Users.(freshUsers); ok {
		a.users = len(u.file.Names())
	}
	return a
}

func (c *serveSMBCmd) check() error {
	switch {
	case c.MaxIO < smbproto.LeastIO || c.MaxIO > smbproto.MostIO:
		return fmt.Errorf("%s %d: want %d to %d bytes", c.label("max-io"), c.MaxIO, smbproto.LeastIO, smbproto.MostIO)
	case c.RequestTimeout <= 0:
		return fmt.Errorf("%s %v: want more than 0", c.label("request-timeout"), c.RequestTimeout)
	case c.IdleTimeout <= 0:
		return fmt.Errorf("%s %v: want more than 0", c.label("idle-timeout"), c.IdleTimeout)
	case len(c.Port) == 0:
		return fmt.Errorf("%s: want at least one", c.label("port"))
	}
	return errors.Join(checkServerName(c.label("name"), c.Name), checkNetBIOSName(c.label("workgroup"), c.Workgroup), c.stackFlags.check())
}

// freshUsers are the accounts as their file has them at each log-on.
type freshUsers struct {
	file *auth.UserFile
	log  *slog.Logger
}

func (u freshUsers) Lookup(name string) (ntHash [16]byte, ok bool) {
	if err := u.file.Refresh(); err != nil {
		u.log.Error("the accounts stay as they were: their file can't be read again", "err", err)
	}
	return u.file.Lookup(name)
}

// netbiosName is this machine's name as NetBIOS has it: 15 characters, upper case.
func netbiosName() string {
	h, err := os.Hostname()
	if err != nil || h == "" {
		return "USTACK"
	}
	h, _, _ = strings.Cut(h, ".")
	return strings.ToUpper(h[:min(len(h), maxNetBIOSName)])
}
