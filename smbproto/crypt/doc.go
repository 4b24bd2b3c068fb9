// Package crypt is the cryptography of SMB2 messages: the keys of a session
// (MS-SMB2 3.1.4.2), signatures (3.1.4.1), encryption (3.1.4.3) and the
// pre-authentication integrity hash of dialect 3.1.1 (3.1.4.4.1).
//
//	keys := crypt.DeriveKeys(crypt.Parameters{Dialect: wire.Dialect311, Preauth: hash, Cipher: crypt.AES128GCM}, sessionKey)
//	signer, err := crypt.NewSigner(crypt.AESGMAC, keys.Signing)
//	...
//	if !signer.Verify(request) { ... }     // both where the message lies
//	signer.Sign(response)
//
//	sealer, err := crypt.NewSealer(crypt.AES128GCM, keys.Encryption, sessionID)
//	n := sealer.Seal(frame, len(messages)) // in place, behind room for the transform header
//
// # Memory and goroutines
//
// Nothing here allocates once a signer, sealer or opener is made, and none keeps a slice
// that it was given. Each works on a message in place: Verify writes zeros
// over the signature while it computes, and puts back what was there; an [Opener] turns the message
// into what was encrypted. So all must be given memory that nobody else reads or
// writes meanwhile, and each is for one goroutine at a time.
package crypt
