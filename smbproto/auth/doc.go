// Package auth is the server's side of SMB authentication: SPNEGO (RFC 4178,
// MS-SPNG) around NTLMSSP (MS-NLMP) or Kerberos (RFC 4120, RFC 4121), and the file of users. What is done with a
// session's key is in package crypt.
//
// Of NTLM, only NTLMv2 proves who a user is. LM and NTLMv1 responses, including the
// "NTLM2 session" variant, are refused for every user that has an account.
//
// One [Exchange] is one authentication of one session:
//
//	users, err := auth.OpenUserFile("users")
//	...
//	cfg := auth.Config{Users: users, ServerName: "FILES", Domain: "WORKGROUP"}
//	negotiateResponse.SecurityBuffer = cfg.Offer()
//	...
//	e := auth.NewExchange(cfg)
//	for {
//		reply, done, err := e.Step(token) // token: SESSION_SETUP's security buffer
//		if err != nil { ... STATUS_LOGON_FAILURE when errors.Is(err, auth.ErrLogonFailure) }
//		if done { key := e.Identity().SessionKey; break }
//		token = ... // send reply with STATUS_MORE_PROCESSING_REQUIRED, receive the next one
//	}
//
// # Kerberos
//
// With Config.Kerberos set, a ticket for one of the keytab's services (cifs or host) proves who a user is: a principal of one component, of the
// service's realm. alice@REALM is the user alice, with or without an account of that name in the file of users. Tickets
// and keys are of AES; RC4 and DES are refused. Clocks may differ by five minutes, and an authenticator is taken once.
// Identity.Expires says when the ticket ends; what comes of that is the caller's to see to.
//
// # Who may be a guest
//
// With Config.Guest set, an anonymous logon and a user without an account
// become guest, and the password is not looked at. A user with an account is
// never made a guest: a wrong password is a logon failure. A guest has no
// session key, for no secret is shared with the client, so its messages cannot be signed.
//
// # Memory and goroutines
//
// Step keeps no reference to its token after it returned, and its reply
// belongs to the caller. An Exchange is for one goroutine
// at a time; Offer, NTHash and a UserFile may be used from any.
//
// Tokens are hostile input: each is at most MaxToken bytes, every length in it
// is checked before use, and an error says what was wrong. An error text is
// for the server's log, not for the peer, because it tells an unknown user
// from a wrong password.
package auth
