// Package wire knows how SMB messages lie in memory, and nothing else: NetBIOS
// session framing, the one SMB1 message that an SMB2 server must understand,
// the SMB2 header, each request and response, and the information levels.
//
// # Views
//
// A message is never decoded into a struct. A request type such as
// [ReadRequest] is a []byte that starts at the SMB2 header (offset fields of the
// protocol count from there) and ends where the message, or its part of a
// compound, ends. Call Valid once: it checks the structure size and that every
// range the request names lies inside it. After that the accessors, which read at
// fixed offsets, cannot go out of bounds. A response type is a []byte of the
// right size in the out ring; its Put methods write at fixed offsets.
//
//	req := wire.ReadRequest(msg)
//	if err := req.Valid(); err != nil {
//		return wire.StatusInvalidParameter
//	}
//	n := req.Length()
//
// # Ownership
//
// A view owns nothing. It is as valid as the bytes below it: a request until its
// bytes are consumed from the in ring, a response until it is committed. No view
// is kept across messages, and nothing here allocates but the functions that
// return or compare strings. Views may be used by one goroutine at a time, as their bytes.
//
// Sections in comments are those of MS-SMB2, MS-FSCC, MS-CIFS and MS-ERREF.
package wire
