// Package smbproto is an SMB2 file server over IO areas: requests are parsed where
// TCP put them, replies are built where TCP takes them. It speaks the dialects
// 2.0.2, 2.1, 3.0, 3.0.2 and 3.1.1, and, where it is allowed, SMB1 (the files smb1*.go).
//
// # A request's way
//
// [Conn.Handle] is called with what has arrived. Framing and the fixed header
// are enough to branch: [commands] has an entry for each command, in the manner of
// reply_* functions, that says what the request needs (a session, a tree, an open),
// how much its answer can take, and which function answers it. Most requests are
// waited for as a whole, and stay in the in ring until they are answered. A WRITE that
// is neither signed nor encrypted goes to its file while it arrives (arriving.go). An encrypted frame is
// decrypted where it lies in the in ring, and its answers are encrypted where they lie in the out
// ring (sealing.go). Room for the
// greatest answer is reserved in the out ring first; the handler fills it in place
// (a READ lets the file system do so), and what was filled is committed. READ and
// WRITE allocate nothing.
//
// # Use
//
//	srv, err := smbproto.NewServer(smbproto.Config{
//		Auth:   auth.Config{Users: users, Guest: true, ServerName: "FILES"},
//		Shares: []smbproto.Share{{Name: "pub", Path: "/srv/pub", ReadOnly: true}},
//		Log:    slog.Default(),
//	})
//	in, out := srv.RingSize()                   // of the largest message; rings should hold some of it
//	pool, err := ioarea.NewPool(4*in, 4*out, 16)
//	...
//	err = srv.Serve(area)                       // one goroutine for each connection
//
// # Where more of SMB goes
//
// A further command, or a fuller one, is an entry of the dispatch table and a file.
// SMB1 has a table of its own, [smb1Commands]: what both do with files is common. Dialects are chosen in bestDialect.
// Answers come in the order of the requests, before the next is looked at. A request that has to wait for
// something else than its client (a lock, a change in a directory) gets an interim answer in this order, in a frame of
// its own, and its final one when what it waits for has come: [Conn.park] keeps it, whoever takes it from its place
// settles it, and the connection's goroutine, woken through [ioarea.Ring.Wake], answers (async.go). Further requests that
// wait go the same way.
//
// A control of a file is a case of Conn.control; copies on the server are in copychunk.go, sparse files in sparse.go.
//
// The UNIX extensions of SMB1 are levels of its TRANSACTION2 (smb1unix.go, smb1unixset.go, smb1unixopen.go).
//
// # Streams and extended attributes
//
// A file's named streams and EAs are kept in its xattrs (streams.go, ea.go, and vfs). That bounds
// them: a stream to 64 KiB where the file system lets an xattr be so large (ext4, as it is made by
// default, has some 4000 bytes for all of a file's together) and to a name of 236 bytes in UTF-8; an
// EA's name to 250 bytes. What does not fit gets STATUS_DISK_FULL, STATUS_OBJECT_NAME_INVALID or
// STATUS_INVALID_EA_NAME. FILE_NEED_EA is not remembered. A stream is read and written as a whole,
// so a WRITE to one is not handled before its data has come.
//
// # Who may do what
//
// Each session has a token: the SID of its user, which comes of his name (and realm, without an account) and of Config.MachineSID, and those of the groups
// that he is in (token.go). A CREATE is held to the security descriptors of the file and of its directory, a rename or a link to
// that of the directory that it leads to and of what it replaces (security.go; package sd has the rules). What an open was
// granted, it keeps: reading and writing ask for nothing. A descriptor is kept in an xattr of its file, which gets it before
// others can open it, and is as large as the file system lets it, at most 64 KiB. A file without one is everybody's, as far as the
// share is. Linux' own permissions are the server's, whoever the client is.
//
// # Who owns what
//
// A [Server] may be used from any goroutine. A [Conn] belongs to the goroutine that
// serves its area, with its channels of sessions (channel.go). A session may have several, and another
// connection may end it (PreviousSessionId), so what a session holds, trees and opens, is under its lock, and an open is used
// under the open's: taken before a handler runs, given back after, and never
// held while waiting for a peer. A request that waits is answered on the connection that it came on, and given up with it,
// but for a CREATE that can be replayed, which another channel of its session goes on with (orphans.go); any channel may cancel it. The session ends with its last channel. The table of open files (share modes, byte-range locks,
// deletions to come) has one lock for the whole server, and one more that keeps paths from
// changing while they are looked up. The watcher of directories has one lock too, for which its own goroutine calls [notification].
// The order is: open, paths, renaming, table, file location, watcher, a notification, and a connection's list of what is settled; no session lock is
// held when one of these is taken. A copy locks two opens, of which the one that was opened first comes first. Files are removed and replaced without the table's lock: their entry,
// with the deletion pending, keeps others off meanwhile. An open's file goes to the table when the
// open ends, and is closed there or given back to be closed: [vfs.Budget] counts that none is lost.
//
// A durable or resilient open outlasts its session: it is the table's then, until an open of its client's next session takes all
// of it over, its time is up, or others need what it has (disconnected.go, reconnect.go). What of that takes time, to close and to
// remove, is swept by whoever had the table's lock, after giving it back; who sweeps has a lock of its own, which comes before the table's.
//
// Slices of a ring are never kept beyond the call that got them.
package smbproto
