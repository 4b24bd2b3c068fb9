// Package vfs is a directory on disk as a share sees it: every file is found
// below the share's root, and once found is known by its handle alone.
//
// # Below the root
//
// A [Root] holds the share's directory open. A path is resolved by openat2 with
// RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS, so the kernel refuses "..", absolute
// links and links that leave the share, whatever another process renames
// meanwhile; where openat2 is missing, os.Root resolves instead and does not follow
// a link in the last place. What is then done to a name is done with one
// component relative to a directory handle.
//
// # Names as POSIX has them
//
// With How.Exact each component counts as it stands: its case does, and no link is followed, not even within the share
// (RESOLVE_NO_SYMLINKS, or component by component). A link is then an entry of its own, whose text is read
// from its handle. One that is made here ([Root.MakeLink]) is kept so that nobody can follow it (exact.go).
//
// # Avoiding stat() races
//
// The thread of the mail is called so. A file is first opened with O_PATH, which
// touches nothing; its type is read from that handle, and devices, fifos and sockets
// are refused before anything has been opened that has side effects. The handle
// for input and output is then opened through /proc/self/fd from the first, so it is the
// same file. All attributes come from the open handle. To delete or rename, which
// Linux can only do by name, a [File] holds its parent directory and the identity
// of its entry there, and does it only if the name still leads to that identity.
//
// # What Linux does not keep
//
// Attributes as archive and hidden, and a creation and a change time that a client has set, are in the extended attribute
// "user.ustack.attributes" of the file (attributes.go). Where a file system has none, what is set is lost.
// That a file is read-only is its mode. Its security descriptor is in "user.ustack.security" (security.go), and says
// nothing to Linux: other programs are held to mode and owner alone, and whoever may write a file there may change it.
//
// # Xattrs
//
// EAs and named streams are xattrs of the file, "user.NAME" and "user.ustack.stream.NAME". They are asked for through its
// handle, for one of O_PATH by way of /proc/self/fd (xattrcalls.go). All names below "user.ustack." are the server's own, and no EA's.
// Whether there are any is asked once, of the root's file system. Changes of one file's that take
// several calls are made one by one; other processes are not kept out.
//
// # Ownership
//
// Whoever opened a File closes it. Its methods are for one goroutine at a time, but for
// those that say otherwise; the location may be moved from another (see
// [File.Relocate]). A [Budget] bounds and counts the files of several roots. A Root may be used from any goroutine, and is closed after its files.
//
//	root, err := vfs.OpenRoot("/srv/files", vfs.Options{})
//	f, created, err := root.Open(path, vfs.How{Read: true})
//	n, err := f.ReadAt(buf, 0)
//
// /proc must be mounted. An int must have 64 bits, for large parts of files are mapped: on other platforms the package does not
// compile, and says why (wordsize.go).
package vfs
