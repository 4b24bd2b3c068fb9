package smbproto

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"unicode/utf8"
	"ustack/smbproto/auth"
	"ustack/smbproto/sd"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// Defaults of Config.
const (
	DefaultMaxIO          = 1 << 20
	DefaultMaxOpens       = 4096
	DefaultMaxSessions    = 64
	DefaultMaxChannels    = 32
	DefaultMaxTrees       = 256
	DefaultMaxCredits     = 8192
	DefaultMaxCompound    = 64
	DefaultMaxPending     = 512
	DefaultRequestTimeout = 30 * time.Second
	DefaultIdleTimeout    = 15 * time.Minute

	DefaultMaxDisconnected       = 1024
	DefaultMaxClientDisconnected = 256
	DefaultDurableTimeout        = 2 * time.Minute
	DefaultMaxDurableTimeout     = 5 * time.Minute
)

// Bounds of Limits.MaxRead, MaxWrite and MaxTransact, bytes.
const (
	LeastIO = 4 << 10
	MostIO  = 8 << 20
)

// Share is a directory that the server offers.
type Share struct {
	Name    string // what clients connect to; case does not matter
	Path    string // the directory
	Comment string // shown in lists
	// ReadOnly shares refuse every change with STATUS_ACCESS_DENIED or
	// STATUS_MEDIA_WRITE_PROTECTED.
	ReadOnly bool
	// Encrypt refuses requests that are not encrypted, and clients that can't encrypt: guests,
	// and those of dialects below 3.0.
	Encrypt bool
	// Users are those who may use the share, by name; case does not matter. None means every user.
	Users []string
	// NoGuests refuses guests.
	NoGuests bool
	// FileMode and DirMode are the permissions of what clients create; 0 means
	// 0644 and 0755.
	FileMode, DirMode uint32
}

// Limits bound what one connection can cost. A zero means the default.
type Limits struct {
	// MaxRead, MaxWrite and MaxTransact are the largest payloads in bytes. They
	// are lowered to what the rings of a connection hold, and to 64 KiB in
	// dialect 2.0.2 (MS-SMB2 3.3.5.4).
	MaxRead, MaxWrite, MaxTransact int

	MaxSessions, MaxTrees, MaxOpens int // of one connection
	// MaxChannels is how many connections one session may have, SMB 3's channels: 1 to 1024. With 1, clients are
	// told that there can be no more.
	MaxChannels int
	// MaxClientConns bounds the connections from one address, and by that all that a client can cost; 0 is no bound.
	MaxClientConns int
	// MaxFiles bounds the open files and directories of all connections together; a further
	// CREATE gets STATUS_TOO_MANY_OPENED_FILES. By default they take three quarters of the
	// descriptors that the process may have (RLIMIT_NOFILE), and leave the rest to connections.
	MaxFiles    int
	MaxCredits  int // a client's outstanding requests, at most 8192
	MaxCompound int // messages in one compound
	MaxPending  int // a client's requests that wait for a lock, an oplock's break or a change

	// MaxDisconnected bounds the opens that are kept after their connection was lost, MaxClientDisconnected those of one
	// client. The oldest are closed when there are more. They count in MaxFiles.
	MaxDisconnected, MaxClientDisconnected int
	// DurableTimeout is how long an open is kept so whose client has asked for no time, MaxDurableTimeout the longest that one may
	// ask for; at most 24 days.
	DurableTimeout, MaxDurableTimeout time.Duration

	// RequestTimeout is how long a client may take for the next 64 KiB of a request
	// that it has begun, for room to be made for a reply, and for its first log-on.
	RequestTimeout time.Duration
	// IdleTimeout is how long a connection may rest between requests.
	IdleTimeout time.Duration
}

// Config of a Server. Auth and Shares are what must be given.
type Config struct {
	Auth   auth.Config
	Shares []Share
	// MinDialect and MaxDialect bound the dialects that are spoken, each one of Dialects, or wire.DialectNT1, which
	// is SMB1; 0 means the least and the greatest of Dialects.
	MinDialect, MaxDialect wire.Dialect
	// RequireSigning refuses unsigned requests, and with them guests.
	RequireSigning bool
	// Encryption says whether messages may be encrypted, or must be. The zero value offers it.
	Encryption Encryption
	// Comment describes the server; clients see it beside IPC$ in the list of shares.
	Comment string
	// Interfaces tells at which addresses clients find the server, each with what is known of its interface, so that those of
	// SMB 3 can have several channels. It is called each time that a client asks, from any goroutine. nil: only at that
	// where the client has come.
	Interfaces func() []Interface
	// Admins are the users who are members of Administrators, and have the privileges to read and write SACLs, to take
	// ownership of any file and to give it away.
	Admins []string
	// MachineSID is the domain of the server's users in SIDs; by default it comes of Auth.ServerName. With another, users own
	// nothing of what they owned.
	MachineSID sd.SID
	// GUID names the server to clients; zero means a random one.
	GUID   [16]byte
	Limits Limits

	// Latency has the time that requests take counted, at the cost of asking for the time twice for each.
	Latency bool
	// Audit is told what users do, an event a record, by the goroutines that serve them: it must not make them
	// wait (package audit does not). nil: nobody is told.
	Audit *slog.Logger

	offer []byte // the token of every negotiate

	Log  *slog.Logger     // nil: no log
	Now  func() time.Time // nil: time.Now
	Rand io.Reader        // nil: crypto/rand
}

// Dialects are those of SMB2 that the server speaks, MS-SMB2 1.7. SMB1 is spoken only where MinDialect says so.
var Dialects = []wire.Dialect{wire.Dialect202, wire.Dialect210, wire.Dialect300, wire.Dialect302, wire.Dialect311}

// ErrConfig is below every error about a Config.
var ErrConfig = errors.New("smbproto: bad configuration")

// Check says of a configuration what NewServer would refuse of its values, and which share has no directory. It keeps nothing
// open and changes nothing, so that it may be called before what costs more is put up, and by who is another user then.
func (c Config) Check() error {
	if err := c.setDefaults(); err != nil {
		return err
	}
	var errs []error
	for _, sh := range c.Shares {
		if err := vfs.CheckDir(sh.Path); err != nil {
			errs = append(errs, shareError(sh, err))
		}
	}
	return errors.Join(errs...)
}

func shareError(sh Share, err error) error { return fmt.Errorf("smbproto: share %q: %w", sh.Name, err) }

func (c *Config) setDefaults() error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Auth.Now == nil {
		c.Auth.Now = c.Now
	}
	if c.Auth.Rand == nil {
		c.Auth.Rand = c.Rand
	}
	if c.Auth.ServerName == "" {
		c.Auth.ServerName = "USTACK"
	}
	if c.Auth.Domain == "" {
		c.Auth.Domain = "WORKGROUP"
	}
	if c.MachineSID == "" {
		c.MachineSID = MachineSID(c.Auth.ServerName)
	}
	if c.MachineSID.Sub(0).Sub(0).Sub(0).Sub(0) == "" { // the longest is a realm's user's
		return fmt.Errorf("%w: no user's SID can begin with %v", ErrConfig, c.MachineSID)
	}
	if c.GUID == [16]byte{} {
		if _, err := io.ReadFull(c.Rand, c.GUID[:]); err != nil {
			return fmt.Errorf("smbproto: server GUID: %w", err)
		}
	}
	c.offer = c.Auth.Offer()
	if err := c.Limits.setDefaults(); err != nil {
		return err
	}
	if err := c.checkDialects(); err != nil {
		return err
	}
	if err := c.checkEncryption(); err != nil {
		return err
	}
	return c.checkShares()
}

func (c *Config) checkDialects() error {
	if c.MinDialect == 0 {
		c.MinDialect = Dialects[0]
	}
	if c.MaxDialect == 0 {
		c.MaxDialect = Dialects[len(Dialects)-1]
	}
	known := append([]wire.Dialect{wire.DialectNT1}, Dialects...)
	if !slices.Contains(known, c.MinDialect) || !slices.Contains(known, c.MaxDialect) || c.MinDialect > c.MaxDialect {
		return fmt.Errorf("%w: dialects %v to %v, want two of %v in order", ErrConfig, c.MinDialect, c.MaxDialect, known)
	}
	return nil
}

// checkEncryption finds what would let nobody in.
func (c *Config) checkEncryption() error {
	if c.Encryption < EncryptionOffered || c.Encryption > EncryptionRequired {
		return fmt.Errorf("%w: %v, want off, offered or required", ErrConfig, c.Encryption)
	}
	if c.Encryption == EncryptionRequired && c.MaxDialect < wire.Dialect300 {
		return fmt.Errorf("%w: encryption is required, but dialects up to %v have none", ErrConfig, c.MaxDialect)
	}
	for _, s := range c.Shares {
		switch {
		case s.Encrypt && c.Encryption == EncryptionOff:
			return fmt.Errorf("%w: share %q is to be encrypted, but encryption is off", ErrConfig, s.Name)
		case s.Encrypt && c.MaxDialect < wire.Dialect300:
			return fmt.Errorf("%w: share %q is to be encrypted, but dialects up to %v have no encryption", ErrConfig, s.Name, c.MaxDialect)
		}
	}
	return nil
}

// Check says what NewServer would refuse of limits.
func (l Limits) Check() error { return l.setDefaults() }

func (l *Limits) setDefaults() error {
	defaultOpens := l.MaxOpens == 0
	for _, v := range []struct {
		name    string
		value   *int
		byDef   int
		atLeast int
		atMost  int
	}{
		{"MaxRead", &l.MaxRead, DefaultMaxIO, LeastIO, MostIO},
		{"MaxWrite", &l.MaxWrite, DefaultMaxIO, LeastIO, MostIO},
		{"MaxTransact", &l.MaxTransact, DefaultMaxIO, LeastIO, MostIO},
		{"MaxSessions", &l.MaxSessions, DefaultMaxSessions, 1, maxIDs},
		{"MaxChannels", &l.MaxChannels, DefaultMaxChannels, 1, 1 << 10},
		{"MaxTrees", &l.MaxTrees, DefaultMaxTrees, 1, maxIDs},
		{"MaxOpens", &l.MaxOpens, DefaultMaxOpens, 1, 1 << 20},
		{"MaxCredits", &l.MaxCredits, DefaultMaxCredits, 1, DefaultMaxCredits},
		{"MaxCompound", &l.MaxCompound, DefaultMaxCompound, 1, 1 << 12},
		{"MaxPending", &l.MaxPending, DefaultMaxPending, 1, 1 << 12},
		{"MaxDisconnected", &l.MaxDisconnected, DefaultMaxDisconnected, 1, 1 << 16},
		{"MaxClientDisconnected", &l.MaxClientDisconnected, DefaultMaxClientDisconnected, 1, 1 << 16},
	} {
		if *v.value == 0 {
			*v.value = v.byDef
		}
		if *v.value < v.atLeast || *v.value > v.atMost {
			return fmt.Errorf("%w: %s is %d, must be %d to %d", ErrConfig, v.name, *v.value, v.atLeast, v.atMost)
		}
	}
	if l.MaxFiles == 0 {
		var err error
		if l.MaxFiles, err = filesByDescriptors(); err != nil {
			return err
		}
		if defaultOpens {
			l.MaxOpens = max(min(l.MaxOpens, l.MaxFiles/2), 1) // no connection takes what all share
		}
	}
	if l.MaxClientConns < 0 {
		return fmt.Errorf("%w: MaxClientConns %d, must not be negative", ErrConfig, l.MaxClientConns)
	}
	if l.MaxFiles < 1 || l.RequestTimeout < 0 || l.IdleTimeout < 0 {
		return fmt.Errorf("%w: MaxFiles %d, RequestTimeout %v, IdleTimeout %v: none may be negative",
			ErrConfig, l.MaxFiles, l.RequestTimeout, l.IdleTimeout)
	}
	if l.DurableTimeout == 0 {
		l.DurableTimeout = DefaultDurableTimeout
	}
	if l.MaxDurableTimeout == 0 {
		l.MaxDurableTimeout = max(DefaultMaxDurableTimeout, l.DurableTimeout)
	}
	const most = 24 * 24 * time.Hour // in milliseconds it fits 31 bits
	if l.DurableTimeout < 0 || l.MaxDurableTimeout < l.DurableTimeout || l.MaxDurableTimeout > most {
		return fmt.Errorf("%w: DurableTimeout %v, MaxDurableTimeout %v: want the first not to be longer, and both up to %v",
			ErrConfig, l.DurableTimeout, l.MaxDurableTimeout, most)
	}
	if l.RequestTimeout == 0 {
		l.RequestTimeout = DefaultRequestTimeout
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = DefaultIdleTimeout
	}
	return nil
}

func filesByDescriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("smbproto: RLIMIT_NOFILE: %w", err)
	}
	descriptors := int(min(limit.Cur, 1<<30))
	return max(descriptors/4*3/vfs.DescriptorsPerFile, 1), nil
}

func (c *Config) checkShares() error {
	seen := map[string]bool{}
	for _, s := range c.Shares {
		name := strings.ToUpper(s.Name)
		switch {
		case !utf8.ValidString(s.Name):
			return fmt.Errorf("%w: share name %q is not UTF-8", ErrConfig, s.Name)
		case s.Name == "" || len(s.Name) > 80 || strings.ContainsAny(s.Name, `"\/[]:|<>+=;,*?`):
			return fmt.Errorf("%w: share name %q: 1 to 80 characters, none of \"\\/[]:|<>+=;,*?", ErrConfig, s.Name)
		case name == ipcName:
			return fmt.Errorf("%w: share name %q is the server's own", ErrConfig, s.Name)
		case seen[name]:
			return fmt.Errorf("%w: two shares of the name %q", ErrConfig, s.Name)
		}
		seen[name] = true
	}
	return nil
}
