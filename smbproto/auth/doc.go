// Package auth is the server's side of SMB authentication: SPNEGO (RFC 4178,
// MS-SPNG) around NTLMSSP (MS-NLMP), and the file of users. What is done with a
// session's key is in package crypt.
//
// Only NTLMv2 proves who a user is. LM and NTLMv1 responses, including the
// "NTLM2 session" variant, are refused for every user that has an account.
//
// One [Exchange] is one authentication of one session:
//
//	users, err := auth.OpenUserFile("users")
//	...
//	negotiateResponse.SecurityBuffer = auth.Offer()
//	...
//	e := auth.NewExchange(auth.Config{Users: users, ServerName: "FILES", Domain: "WORKGROUP"})
//	for {
//		reply, done, err := e.Step(token) // token: SESSION_SETUP's security buffer
//		if err != nil { ... STATUS_LOGON_FAILURE when errors.Is(err, auth.ErrLogonFailure) }
//		if done { key := e.Identity().SessionKey; break }
//		token = ... // send reply with STATUS_MORE_PROCESSING_REQUIRED, receive the next one
//	}
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
