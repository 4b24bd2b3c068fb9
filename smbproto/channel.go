package smbproto

import (
	"slices"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// channel is a session on one of its connections, MS-SMB2 3.3.1.14. It belongs to the goroutine
// of that connection; what the channels of a session have in common is the session's.
type channel struct {
	*session
	conn *Conn

	uid      uint16         // of SMB1
	exchange *auth.Exchange // a log-on that is under way: the first, a renewed one, or one that binds
	preauth  crypt.Preauth  // of the connection and this log-on, in dialect 3.1.1

	// signer has Channel.SigningKey; while the channel is being bound, the session's first one, by which the
	// client shows that it has the session. It is nil for guests.
	signer *crypt.Signer
	// sealer and opener have the session's keys, and a working memory of their own. They are nil where
	// nothing can be encrypted: for guests, too.
	sealer *crypt.Sealer
	opener *crypt.Opener
}

// addChannel makes ch one of the session's channels.
func (s *session) addChannel(ch *channel) wire.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead:
		return wire.StatusUserSessionDeleted
	case len(s.channels) >= ch.conn.cfg.Limits.MaxChannels:
		return wire.StatusInsufficientResources
	}
	s.channels = append(s.channels, ch)
	return wire.StatusOK
}

// leave takes a channel out of its session, with its connection: the last one ends it, MS-SMB2 3.3.7.1.
func (ch *channel) leave() error {
	s := ch.session
	s.mu.Lock()
	s.channels = slices.DeleteFunc(s.channels, func(other *channel) bool { return other == ch })
	if len(s.channels) > 0 {
		s.mu.Unlock()
		return nil
	}
	return s.endLocked()
}
