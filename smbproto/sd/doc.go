// Package sd is Windows' model of who may do what with a file: security descriptors, their access control lists, and
// the tokens of those who ask (MS-DTYP 2.4 and 2.5).
//
// [Parse] reads a self-relative descriptor of at most [MaxSize] bytes, all of it or nothing: what it returns refers to
// the bytes that it was given, which must stay as they are for as long. [Descriptor.Append] writes one. Between the two
// are three algorithms: [Descriptor.Granted] says which rights a token has, [New] makes the descriptor of a new file of
// that of its directory, and [Descriptor.Change] puts the parts of one descriptor in the place of another's.
//
//	d, err := sd.Parse(b)
//	if d.Granted(token)&asked != asked { return wire.StatusAccessDenied }
//
// Nothing here has a state; values may be used from any goroutine as long as none changes them.
package sd
