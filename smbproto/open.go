package smbproto

import (
	"errors"
	"sync"
	"sync/atomic"

	"ustack/smbproto/rpc"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// open is an open file, directory or pipe, MS-SMB2 3.3.1.10. What stands above mu
// does not change; the rest is the lock holder's.
type open struct {
	id      wire.FileID
	session *session
	conn    *Conn
	tree    *tree
	held    *share // dropped when it is closed; nil for a pipe
	named   bool   // opened as a named stream
	access  wire.Access
	maximal wire.Access // the most that it could have
	share   wire.ShareAccess
	options wire.CreateOptions
	notify  atomic.Pointer[notification] // set under mu
	asked   asked
	smb1    *smb1Open // nil but for SMB1's
	create  createID  // by which its CREATE can be replayed
	// replayable says that create is in the table; it is set under the table's lock.
	replayable atomic.Bool

	mu            sync.Mutex
	closed        bool
	file          *vfs.File // nil for a pipe
	pipe          *rpc.Pipe
	state         *fileState
	deleteOnClose bool
	oplock        *oplock // set under the table's lock, too
	doomed        bool    // its name is to be deleted; under the table's lock
	renamed       bool    // the file has been, by this open
	wrote         bool    // the file's data was changed through this open
	position      uint64
	nextEA        int                // how many EAs have been listed
	mode          wire.CreateOptions // Open.Mode, MS-FSA 2.1.1.6
	frozen        wire.Filetime      // the time of the last write, if what is changed through this open leaves it
	search        search
	sequence      sequence
	pid           uint32 // the client's process that the request in hand is of, in SMB1: it owns locks with the open
	durable       durability

	// The table's lock guards these.
	entry    vfs.Entry // the name by which it was opened, MS-FSA 2.1.1.6 (Open.Link)
	instance wire.GUID // of an application, or none
	locked   *lockSequence
	away     *absence // while it is kept for its client to come back; see disconnected.go
}

// release closes what the open has, under its lock: share mode, locks, handles, and
// the file itself if it is to be deleted.
func (o *open) release() error {
	if o.closed {
		return nil
	}
	o.closed = true
	if o.file == nil {
		return nil
	}
	if n := o.notify.Load(); n != nil {
		n.close()
	}
	files := &o.session.srv.files
	var errs []error
	if o.deleteOnClose {
		// What can't be deleted shuts nobody out. A directory that has entries stays, and nobody is told.
		switch err := o.file.CanRemoveAtClose(); {
		case err == nil:
			files.doom(o)
		case wire.StatusOf(err) != wire.StatusDirectoryNotEmpty && !isGone(err):
			errs = append(errs, err)
		}
	}
	if o.renamed && !files.pending(o) {
		o.session.srv.tellRenamed(o.file)
	}
	if o.wrote {
		files.entryChanged(o, o.file.Path())
	}
	shut, last := files.leave(o)
	if last != nil {
		errs = append(errs, files.remove(last, o.removed))
	}
	if shut != nil {
		if err := shut.Close(); err != nil {
			errs = append(errs, err)
		}
	}
	if o.held != nil {
		if err := o.held.drop(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removed is told of each name that is taken away with the open's end.
func (o *open) removed(d doomed, err error) {
	o.auditRemoval(d.file, err)
	if err == nil {
		o.session.srv.files.entryChanged(o, d.file.Path(), d.asked)
	}
}

// fill puts all that is known of the file and the open into info, but how long its EAs are.
func (o *open) fill(info *wire.FileInfo) error {
	if err := o.file.Stat(); err != nil {
		return err
	}
	o.tell(info)
	return nil
}

// fillNew is fill for an open that was entered just now: what its CREATE has not changed since is as it was then.
func (o *open) fillNew(info *wire.FileInfo, action wire.CreateAction, cr *creation) error {
	if action == wire.ActionOpened || action == wire.ActionCreated && cr.allocation == 0 && len(cr.eas) == 0 {
		o.tell(info)
		return nil
	}
	return o.fill(info)
}

// fillWithEAs is fill, and says how long its EAs are.
func (o *open) fillWithEAs(info *wire.FileInfo) error {
	size, err := o.file.StatEAs()
	if err != nil {
		return err
	}
	o.tell(info)
	info.EASize = size
	return nil
}

// tell is fill with the file as of its last Stat.
func (o *open) tell(info *wire.FileInfo) {
	*info = wire.FileInfo{
		DeletePending: o.session.srv.files.pending(o),
		Access:        o.access,
		Position:      o.position,
		Mode:          uint32(o.mode),
		Name:          o.name(),
	}
	o.file.Info(info)
}
