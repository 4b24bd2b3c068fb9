package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"ustack/smbproto"
)

// errNobody is below the errors about a server that could never let anybody in.
var errNobody = errors.New("nobody could use a share: give --user-file FILE (ustack smb user add --user-file FILE NAME)")

// smbAccess is who may use what of an SMB server.
type smbAccess struct {
	userFile string // empty: there is none
	users    int    // in it
	keytab   bool   // there are the users of a Kerberos realm
	cfg      *smbproto.Config
	flags    stackFlags // what they are called
}

// keyed is why guests are let in nowhere, mostly because they have no key; empty if they are.
func (a smbAccess) keyed() string {
	switch {
	case a.cfg.RequireSigning:
		return a.flags.label("require-signing") + ": guests have no key to sign with"
	case a.cfg.Encryption == smbproto.EncryptionRequired:
		return a.flags.label("encrypt") + " required: guests have no key to encrypt with"
	case !slices.ContainsFunc(a.cfg.Shares, func(s smbproto.Share) bool { return !s.Encrypt }):
		return "every share is encrypted: guests have no key to encrypt with"
	case !slices.ContainsFunc(a.cfg.Shares, func(s smbproto.Share) bool { return !s.Encrypt && !s.NoGuests }):
		return "every share that is not encrypted keeps guests out"
	}
	return ""
}

// check refuses a server that nobody could ever use. One whose file of users is empty is
// none: the file may be filled while it runs.
func (a smbAccess) check() error {
	if a.userFile != "" || a.keytab {
		return nil
	}
	if !a.cfg.Auth.Guest {
		return fmt.Errorf("%s without --user-file: %w", cmp.Or(a.flags.keys["guest"], "--no-guest"), errNobody)
	}
	if why := a.keyed(); why != "" {
		return fmt.Errorf("%s, and without --user-file there is nobody else: %w", why, errNobody)
	}
	return nil
}

// unknown are the names that no account has, as far as that can be known.
func (a smbAccess) unknown(names []string) []string {
	if a.keytab {
		return nil
	}
	users, some := a.cfg.Auth.Users.(freshUsers)
	return slices.DeleteFunc(slices.Clone(names), func(name string) (known bool) {
		if some {
			_, known = users.file.Lookup(name)
		}
		return known
	})
}

// warn logs what may be meant otherwise: shares that nobody can use, those that anybody can change, and names that nobody has.
func (a smbAccess) warn(log *slog.Logger) {
	guests := a.cfg.Auth.Guest && a.keyed() == ""
	if a.users == 0 && !a.keytab && !guests {
		log.Warn("nobody can use a share until a user is added (ustack smb user add)", "user_file", a.userFile)
	}
	if names := a.unknown(a.cfg.Admins); len(names) > 0 {
		log.Warn("administrators have no account", "users", names)
	}
	for _, sh := range a.cfg.Shares {
		if names := a.unknown(sh.Users); len(names) > 0 {
			log.Warn("users of a share have no account", "share", sh.Name, "users", names)
		}
		switch {
		case !guests || sh.NoGuests:
		case sh.Encrypt && a.keytab:
		case sh.Encrypt && a.userFile == "":
			log.Warn("nobody can use this share: guests have no key to encrypt with, and there is no --user-file", "share", sh.Name, "path", sh.Path)
		case sh.Encrypt && a.users == 0:
			log.Warn("nobody can use this share until a user is added: guests have no key to encrypt with", "share", sh.Name, "path", sh.Path)
		case !sh.Encrypt && !sh.ReadOnly:
			log.Warn("guests may write", "share", sh.Name, "path", sh.Path)
		}
	}
}
