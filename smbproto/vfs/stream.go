package vfs

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// MaxStream is the largest named stream in bytes: what an xattr can hold. Most file
// systems hold less: ext4 some 4000 bytes of a file's streams and EAs together, where it was made without
// ea_inode; XFS and tmpfs 64 KiB of each.
const MaxStream = maxXattr

// MaxStreamName is the longest name of a stream in bytes of UTF-8: what the name of an
// xattr leaves of the 255 characters of MS-FSCC 2.1.5.3.
const MaxStreamName = maxXattrName - len(streamPrefix)

// ParseName takes a name as it stands in a CREATE: a path as ParsePath has it, behind
// which a stream may stand, ":stream" or ":stream:$DATA" (MS-FSCC 2.1.5). data says that the name asks for
// the stream that has no name, "::$DATA", which directories lack.
func ParseName(name string) (p Path, stream string, data bool, err error) {
	i := strings.IndexByte(name, ':')
	if i < 0 {
		p, err = ParsePath(name)
		return p, "", false, err
	}
	stream, err = ParseStream(name[i:])
	if err == nil && strings.HasSuffix(name[:i], `\`) {
		err = ErrName
	}
	if err != nil {
		return "", "", false, pathError("parse", name, err)
	}
	p, err = ParsePath(name[:i])
	return p, stream, stream == "", err
}

// ParseStream takes a name from its first colon on. "" is the stream that has no name. ErrName
// says that it is none, ErrStreamType that it has a type that is no stream's of data.
func ParseStream(name string) (stream string, err error) {
	stream, kind, typed := strings.Cut(strings.TrimPrefix(name, ":"), ":")
	switch {
	case stream == "" && kind == "", typed && kind == "":
		return "", ErrName
	case typed && !strings.EqualFold(kind, "$DATA"):
		return "", ErrStreamType
	case len(stream) > MaxStreamName, !utf8.ValidString(stream), strings.ContainsAny(stream, "\x00/\\:"):
		return "", ErrName
	}
	return stream, nil
}

// ErrStreamType is of a name that asks for something else than data.
var ErrStreamType = &Error{"type of stream not supported", wire.StatusObjectNameInvalid}

// openStream opens or creates a stream of a file or directory, and the file too if it is
// missing. A File that is a stream is in all but its data the file's. If the stream can't be made, a
// file that was made for it stays, empty: others may have opened it by now.
func (r *Root) openStream(p Path, how How) (f *File, created bool, err error) {
	if !r.xattrs {
		return nil, false, pathError("open", string(p)+":"+how.Stream, ErrNoStreams)
	}
	f, made, err := r.Open(p, How{Create: how.Create, MayFill: how.MayFill, Guard: ofStream(how.Guard), Attributes: how.Attributes})
	if err != nil {
		return nil, false, err
	}
	if created, err = f.bind(how, made); err != nil {
		return nil, false, pathError("open", string(p)+":"+how.Stream, errors.Join(err, f.Close()))
	}
	return f, created, nil
}

// fileGuard is asked only about a file that is to be made for a stream: of one that is there, bind asks.
type fileGuard struct{ Guard }

func (fileGuard) Existing(*File, bool) error { return nil }

func ofStream(g Guard) Guard {
	if g == nil {
		return nil
	}
	return fileGuard{g}
}

// bind makes the file its stream. made says that the file was made for the stream.
func (f *File) bind(how How, made bool) (created bool, err error) {
	writes := how.Write
	if writes && !made && f.refusesWrite() {
		if !how.MayReadOnly {
			return false, f.writeRefusal()
		}
		writes = false
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	name, err := f.findStream(how.Stream)
	switch {
	case err != nil:
		return false, err
	case name != "" && how.Exclusive:
		return false, ErrExists
	case name == "" && !how.Create:
		return false, ErrNotFound
	}
	if how.Guard != nil && !made {
		if err := how.Guard.Existing(f, name == ""); err != nil {
			return false, err
		}
	}
	switch {
	case name == "" && !made && f.refusesWrite():
		return false, f.writeRefusal()
	case name == "":
		name, created = how.Stream, true
		err := f.xattrs().mayAdd(streamPrefix + name)
		if err == nil {
			err = f.xattrs().set(streamPrefix+name, nil, unix.XATTR_CREATE)
		}
		if err != nil {
			return false, streamError(err)
		}
	}
	if err := f.demote(); err != nil {
		return created, err
	}
	f.named, f.ofDir, f.writable = true, f.IsDir(), writes || created
	f.loc.setStream(name, f.ID())
	return created, f.statOnly()
}

// demote replaces a handle for input or output by one of O_PATH: what is done with the handle of
// a stream must not be done to the file's data.
func (f *File) demote() error {
	if f.pathOnly {
		return nil
	}
	fd, err := reopen(f.fd, unix.O_PATH)
	if err != nil {
		return err
	}
	err = closeAll(f.fd)
	f.fd, f.pathOnly = fd, true
	return err
}

// findStream gives the name of a stream as it was created, or "".
func (f *File) findStream(name string) (string, error) {
	_, err := f.xattrs().get(streamPrefix+name, nil)
	if err == nil {
		return name, nil
	}
	if err != unix.ENODATA {
		return "", streamError(err)
	}
	names, err := f.xattrs().names(streamPrefix)
	if err != nil {
		return "", streamError(err)
	}
	for _, other := range names {
		if other != "" && wire.EqualFold(other, name) {
			return other, nil
		}
	}
	return "", nil
}

// streamError says what an error of an xattr means for a stream.
func streamError(err error) error {
	switch {
	case errors.Is(err, unix.ENODATA):
		return ErrStreamGone
	case errors.Is(err, unix.EOPNOTSUPP):
		return ErrNoStreams
	}
	return tooLarge(err, ErrStreamFull)
}

func (l *location) setStream(name string, of ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream, l.of = name, of
}

// Named reports whether the File is a stream that has a name.
func (f *File) Named() bool { return f.named }

// Stream is the stream's name, or "". Any goroutine may ask.
func (f *File) Stream() string {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	return f.loc.stream
}

func (f *File) streamXattr() string { return streamPrefix + f.Stream() }

// Holds reports whether what is open could hold n bytes at off: more than MaxStream no stream
// that has a name can.
func (f *File) Holds(off uint64, n int) bool {
	return !f.named || off <= MaxStream && uint64(n) <= MaxStream-off
}

// statStream puts the stream's size and type where the file's are.
func (f *File) statStream() error {
	n, err := f.xattrs().get(f.streamXattr(), nil)
	if err != nil {
		return streamError(err)
	}
	f.st.Size, f.st.Blocks = uint64(n), uint64(n+511)/512
	f.st.Mode = f.st.Mode&^unix.S_IFMT | unix.S_IFREG
	return nil
}

func (f *File) readStream(b []byte, off int64) (int, error) {
	data, err := f.xattrs().value(f.streamXattr())
	if err != nil {
		return 0, streamError(err)
	}
	if off >= int64(len(data)) && len(b) > 0 {
		return 0, io.EOF
	}
	return copy(b, data[min(off, int64(len(data))):]), nil
}

// changeStream reads the stream and writes what change makes of it, which is one to all
// who do it here. The file's time of change is that of its streams (MS-FSA 2.1.4.17).
func (f *File) changeStream(change func(data []byte) []byte) error {
	if !f.writable {
		return ErrNoHandle
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	name := f.streamXattr()
	data, err := f.xattrs().value(name)
	if err == nil {
		err = f.xattrs().set(name, change(data), unix.XATTR_REPLACE)
	}
	if err != nil {
		return streamError(err)
	}
	return f.touch(unix.Timespec{Nsec: unix.UTIME_NOW})
}

// touch sets the time of the last write, which only the file's owner may: what he did not
// grant to the server is not the client's fault.
func (f *File) touch(written unix.Timespec) error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, written}
	err := retry(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, throughProc(f.fd), ts, 0) })
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func (f *File) writeStream(b []byte, off int64) (int, error) {
	if !f.Holds(uint64(off), len(b)) {
		return 0, ErrStreamFull
	}
	err := f.changeStream(func(data []byte) []byte {
		if end := int(off) + len(b); len(b) > 0 && end > len(data) {
			data = append(data, make([]byte, end-len(data))...)
		}
		copy(data[min(int(off), len(data)):], b)
		return data
	})
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *File) truncateStream(size int64) error {
	if size > MaxStream {
		return ErrStreamFull
	}
	return f.changeStream(func(data []byte) []byte {
		return append(data[:min(int(size), len(data))], make([]byte, max(0, int(size)-len(data)))...)
	})
}

func (f *File) zeroStream(off, end int64) error {
	return f.changeStream(func(data []byte) []byte {
		if off < int64(len(data)) {
			clear(data[off:min(end, int64(len(data)))])
		}
		return data
	})
}

// syncReopened waits until the file, with its xattrs, is on disk, through a handle that can. Where another program's lease keeps us
// from one, it waits for the whole file system.
func (f *File) syncReopened() error {
	sync := unix.Fsync
	fd, err := reopen(f.fd, unix.O_RDONLY)
	if errors.Is(err, ErrLeased) && f.ID().Dev == f.root.id.Dev {
		sync = unix.Syncfs
		fd, err = reopen(f.root.fd, unix.O_RDONLY|unix.O_DIRECTORY)
	}
	if err != nil {
		return err
	}
	return errors.Join(retry(func() error { return sync(fd) }), closeAll(fd))
}

func (f *File) removeStream() error {
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	err := f.statOnly() // others may have made the file read-only
	if err == nil {
		err = f.thoughReadOnly(func() error { return f.xattrs().remove(f.streamXattr()) })
	}
	return pathError("remove", string(f.Path())+":"+f.Stream(), streamError(err))
}

// Streams lists the file's streams, with that which has no name first. A directory lacks that.
func (f *File) Streams() ([]wire.StreamInfo, error) {
	var list []wire.StreamInfo
	var st unix.Statx_t
	if err := statx(f.fd, "", &st); err != nil {
		return nil, err
	}
	if !isType(&st, unix.S_IFDIR) {
		list = append(list, wire.StreamInfo{Name: wire.DefaultStream, Size: st.Size, AllocationSize: f.allocated(&st)})
	}
	if !f.root.xattrs {
		return list, nil
	}
	names, err := f.xattrs().names(streamPrefix)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, err
	}
	for _, name := range names {
		if got, err := ParseStream(":" + name); err != nil || got != name {
			continue // a client could not open it
		}
		n, err := f.xattrs().get(streamPrefix+name, nil)
		if err != nil {
			continue // gone meanwhile
		}
		list = append(list, wire.StreamInfo{Name: ":" + name + ":$DATA", Size: uint64(n), AllocationSize: uint64(n+511) / 512 * 512})
	}
	return list, nil
}

// DropXattrs removes all EAs, and all named streams but those that keep names: of a file that is
// written over (MS-FSA 2.1.5.1.2).
func (f *File) DropXattrs(keep func(stream string) bool) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if !f.root.xattrs {
		return nil
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	names, err := f.xattrs().names(eaPrefix)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	for _, name := range names {
		stream, ok := strings.CutPrefix(eaPrefix+name, streamPrefix)
		if ok && keep(stream) || !ok && !listableEA(name) {
			continue
		}
		if gone := f.xattrs().remove(eaPrefix + name); gone != unix.ENODATA {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// StreamTarget says under which name a stream would be found if it were renamed so: that of one
// that is there and differs in case only. there is false of the stream's own.
func (f *File) StreamTarget(to string) (name string, there bool, err error) {
	found, err := f.findStream(to)
	if err != nil || found == "" || found == f.Stream() {
		return to, false, err
	}
	return found, true, nil
}

// RenameStream gives the stream another name of the same file, in the place of one that is empty
// if replace allows (MS-FSA 2.1.5.15.11.1). Other opens of the stream are told by StreamRenamed.
func (f *File) RenameStream(to string, replace bool) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	data, err := f.xattrs().value(f.streamXattr())
	if err != nil {
		return streamError(err)
	}
	switch n, err := f.xattrs().get(streamPrefix+to, nil); {
	case err == unix.ENODATA:
	case err != nil:
		return streamError(err)
	case !replace:
		return ErrExists
	case n > 0:
		return ErrStreamInUse
	}
	if err := f.moveXattr(to, data); err != nil {
		return streamError(err)
	}
	f.loc.setStream(to, f.ID())
	return nil
}

// moveXattr puts the data under the new name before the old goes; where there is no room for
// both, the old goes first.
func (f *File) moveXattr(to string, data []byte) error {
	from := f.streamXattr()
	if err := f.xattrs().mayAdd(streamPrefix + to); err != nil {
		return err
	}
	err := f.xattrs().set(streamPrefix+to, data, 0)
	if err == nil {
		return f.xattrs().remove(from)
	}
	if err != unix.ENOSPC && err != unix.EDQUOT {
		return err
	}
	if err := f.xattrs().remove(from); err != nil {
		return err
	}
	if err = f.xattrs().set(streamPrefix+to, data, 0); err != nil {
		err = errors.Join(err, f.xattrs().set(from, data, 0))
	}
	return err
}

// StreamRenamed tells the file that its stream was renamed. Any goroutine may call it.
func (f *File) StreamRenamed(to string) {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	f.loc.stream = to
}

// BecomeDefault makes the data of the stream that of the file, which must be empty, and the
// stream no more. Then the File is the file itself.
func (f *File) BecomeDefault() (err error) {
	switch {
	case f.root.opts.ReadOnly:
		return ErrReadOnly
	case f.ofDir:
		return ErrStreamInUse // a directory has no stream without a name
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	fd, err := reopen(f.fd, unix.O_RDWR)
	if err != nil {
		return err
	}
	file := &File{root: f.root, fd: fd, writable: true, loc: location{parent: -1, path: f.Path()}}
	if err = file.takeOver(f); err != nil {
		return errors.Join(err, closeAll(file.loc.parent, fd))
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	l := &file.loc
	f.loc.parent, f.loc.dir, f.loc.base, f.loc.entry, f.loc.stream = l.parent, l.dir, l.base, l.entry, ""
	err = closeAll(f.fd)
	f.fd, f.st, f.named, f.pathOnly = fd, file.st, false, false
	return err
}

// takeOver makes the data of a stream that of its file.
func (f *File) takeOver(stream *File) error {
	if err := f.Stat(); err != nil {
		return err
	}
	if f.Size() > 0 {
		return ErrStreamInUse
	}
	if err := f.locate(&f.loc); err != nil {
		return err
	}
	data, err := f.xattrs().value(stream.streamXattr())
	if err != nil {
		return streamError(err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return errors.Join(err, f.Truncate(0))
	}
	return streamError(f.xattrs().remove(stream.streamXattr()))
}
