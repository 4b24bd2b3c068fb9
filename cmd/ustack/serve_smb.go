package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"strings"
	"time"

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
	Port           uint16        `help:"TCP port." default:"445"`
	Share          []string      `help:"NAME=PATH, with ',ro' behind it for a share that is only read, ',encrypt' for one that must be encrypted. May be repeated." required:"" sep:"none"`
	UserFile       string        `help:"File of users, as 'ustack smb user' keeps it." type:"path"`
	Guest          *bool         `help:"Let in as guest who has no account (default: only where there is no --user-file)." negatable:""`
	Name           string        `help:"NetBIOS name of the server (default: this machine's)."`
	Workgroup      string        `help:"NetBIOS name of its domain." default:"WORKGROUP"`
	RequireSigning bool          `help:"Refuse requests that are not signed, and with them guests."`
	MinProtocol    string        `help:"Least dialect: SMB2_02, SMB2_10, SMB3_00, SMB3_02 or SMB3_11." default:"SMB2_02"`
	MaxProtocol    string        `help:"Greatest dialect." default:"SMB3_11"`
	Encrypt        string        `help:"Encryption: off, offered or required. Required refuses guests, and clients below SMB3_00." default:"offered"`
	MaxIO          byteSize      `name:"max-io" help:"Largest READ and WRITE." default:"1MiB"`
	RequestTimeout time.Duration `help:"Longest that a request, once begun, may rest." default:"30s"`
	IdleTimeout    time.Duration `help:"Longest that a connection may rest between requests." default:"15m"`
}

func (c *serveSMBCmd) Help() string {
	return `
Examples:

  ustack serve smb --share pub=/srv/pub --addr 10.77.0.2/24 --host-addr 10.77.0.1/24
  ustack smb user add --user-file users alice
  ustack serve smb --share pub=/srv/pub,ro --share home=/srv/home --user-file users \
      --stack kernel --addr 127.0.0.1 --port 4450

A change of the file of users holds from the next log-on; who is logged on stays so.
SIGHUP is ignored. SIGTERM and Ctrl-C let requests that have begun end first.

What is encrypted needs a user and SMB3_00 or later, what must be signed a user. A guest may do
whatever the share allows: give --user-file, or share with ,ro, where that is not meant.
`
}

func (c *serveSMBCmd) Run(ctx context.Context, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	least, greatest, err := parseProtocols(c.MinProtocol, c.MaxProtocol)
	if err != nil {
		return err
	}
	encryption, err := parseEncryption(c.Encrypt)
	if err != nil {
		return err
	}
	guest := c.UserFile == ""
	if c.Guest != nil {
		guest = *c.Guest
	}
	cfg := smbproto.Config{
		Auth:           auth.Config{Guest: guest, ServerName: c.Name, Domain: c.Workgroup},
		MinDialect:     least,
		MaxDialect:     greatest,
		RequireSigning: c.RequireSigning,
		Encryption:     encryption,
		Comment:        "ustack",
		Limits: smbproto.Limits{
			MaxRead: int(c.MaxIO), MaxWrite: int(c.MaxIO), MaxTransact: int(c.MaxIO),
			RequestTimeout: c.RequestTimeout, IdleTimeout: c.IdleTimeout,
		},
		Log: log,
	}
	if cfg.Auth.ServerName == "" {
		cfg.Auth.ServerName = netbiosName()
	}
	for _, s := range c.Share {
		sh, err := parseShare(s)
		if err != nil {
			return err
		}
		cfg.Shares = append(cfg.Shares, sh)
	}
	access := smbAccess{userFile: c.UserFile, cfg: &cfg}
	if c.UserFile != "" {
		users, err := auth.OpenUserFile(c.UserFile)
		if err != nil {
			return err
		}
		cfg.Auth.Users = freshUsers{users, log}
		access.users = len(users.Names())
	}
	if err := access.check(); err != nil {
		return err
	}
	srv, err := smbproto.NewServer(cfg)
	if err != nil {
		return err
	}
	in, out := srv.RingSize()
	in, out = powerBelow(messagesInRing*in), powerBelow(repliesInRing*out)
	if err := srv.CheckRings(cmp.Or(int(c.RingIn), in), cmp.Or(int(c.RingOut), out)); err != nil {
		return errors.Join(fmt.Errorf("--ring-in %d, --ring-out %d: %w", c.RingIn, c.RingOut, err), srv.Close())
	}
	err = c.run(ctx, log, c.Port, in, out, &server{
		service: "smb",
		serve:   srv.Serve,
		serving: func() { access.warn(log) },
		extra: func(s *snapshot) {
			st := srv.Stats()
			s.SMB = &st
		},
	})
	return errors.Join(err, srv.Close())
}

func (c *serveSMBCmd) check() error {
	switch {
	case c.MaxIO < smbproto.LeastIO || c.MaxIO > smbproto.MostIO:
		return fmt.Errorf("--max-io %d: want %d to %d bytes", c.MaxIO, smbproto.LeastIO, smbproto.MostIO)
	case c.RequestTimeout <= 0:
		return fmt.Errorf("--request-timeout %v: want more than 0", c.RequestTimeout)
	case c.IdleTimeout <= 0:
		return fmt.Errorf("--idle-timeout %v: want more than 0", c.IdleTimeout)
	}
	return nil
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
	return strings.ToUpper(h[:min(len(h), 15)])
}
