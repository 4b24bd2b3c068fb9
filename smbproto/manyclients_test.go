package smbproto

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

var (
	modelTime = flag.Duration("model.time", 10*time.Second, "how long many clients work at once on one tree")
	modelSeed = flag.Uint64("model.seed", 0, "what their work is derived from; 0 means the time")
)

// The tree that many clients work on: in each directory there are so many names that may be taken.
const (
	modelClients = 24
	modelDirs    = 4
	modelNames   = 12
	regionSize   = 4096
)

// modelEntry is what a name should lead to. Who works on it holds mu: then all that a client is told is certain, and what is done to
// others at the same time must make no difference.
type modelEntry struct {
	mu      sync.RWMutex
	kind    entryKind
	data    []byte
	attrs   wire.Attributes
	streams map[string][]byte
}

type entryKind int

const (
	missing entryKind = iota
	isFile
	isDir
)

// A modelClient does one thing at a time. Errors that say that a name is missing, or taken, are os.ErrNotExist and os.ErrExist.
type modelClient interface {
	create(name string) error
	read(name string) ([]byte, error)
	write(name string, off int, data []byte) error
	truncate(name string, size int) error
	mkdir(name string) error
	rename(from, to string) error
	remove(name string, dir bool) error
	list(dir string) (map[string]int64, error)
}

// goClient is somebody else's client.
type goClient struct{ fs *smb2.Share }

func (c goClient) create(name string) error {
	f, err := c.fs.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func (c goClient) read(name string) ([]byte, error) { return c.fs.ReadFile(name) }

func (c goClient) write(name string, off int, data []byte) error {
	f, err := c.fs.OpenFile(name, os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, int64(off))
	return errors.Join(err, f.Close())
}

func (c goClient) truncate(name string, size int) error { return c.fs.Truncate(name, int64(size)) }
func (c goClient) mkdir(name string) error              { return c.fs.Mkdir(name, 0o755) }
func (c goClient) rename(from, to string) error         { return c.fs.Rename(from, to) }
func (c goClient) remove(name string, _ bool) error     { return c.fs.Remove(name) }

func (c goClient) list(dir string) (map[string]int64, error) {
	entries, err := c.fs.ReadDir(dir)
	all := map[string]int64{}
	for _, e := range entries {
		all[strings.ToLower(e.Name())] = e.Size()
		if e.IsDir() {
			all[strings.ToLower(e.Name())] = -1
		}
	}
	return all, err
}

// final sends a message and returns its final answer.
func (w *wild) final(msg []byte) ([]byte, error) {
	r, err := w.tell(msg)
	for err == nil && status(r) == wire.StatusPending {
		r, err = w.receive()
	}
	if err != nil {
		return nil, err
	}
	switch s := status(r); s {
	case wire.StatusOK:
		return r, nil
	case wire.StatusObjectNameNotFound, wire.StatusObjectPathNotFound:
		return r, os.ErrNotExist
	case wire.StatusObjectNameCollision:
		return r, os.ErrExist
	default:
		return r, fmt.Errorf("%v: %w", wire.Header(msg).Command(), s)
	}
}

// with opens a file and closes it.
func (w *wild) with(name string, o opening, do func(id wire.FileID) error) error {
	r, err := w.final(w.createMsg(name, o))
	if err != nil {
		return err
	}
	id := wire.ReadFileID(r[128:])
	err = do(id)
	_, closed := w.final(w.closeMsg(id))
	return errors.Join(err, closed)
}

func nothing(wire.FileID) error { return nil }

func existing(access wire.Access) opening {
	return opening{access, shareAll, wire.Open, wire.OptionNonDirectory}
}

func (w *wild) create(name string) error {
	return w.with(name, opening{wire.AccessAll, shareAll, wire.Create, wire.OptionNonDirectory}, nothing)
}

func (w *wild) read(name string) (data []byte, err error) {
	err = w.with(name, existing(rd), func(id wire.FileID) error {
		for {
			r, err := w.final(w.readMsg(id, uint64(len(data)), 1<<16))
			if errors.Is(err, wire.StatusEndOfFile) {
				return nil
			}
			if err != nil {
				return err
			}
			data = append(data, r[80:]...)
		}
	})
	return data, err
}

func (w *wild) write(name string, off int, data []byte) error {
	return w.with(name, existing(wr), func(id wire.FileID) error {
		_, err := w.final(w.writeMsg(id, uint64(off), data))
		return err
	})
}

// set sets information of a file.
func (w *wild) set(name string, o opening, class wire.FileInfoClass, b []byte) error {
	return w.with(name, o, func(id wire.FileID) error {
		_, err := w.final(w.setMsg(id, class, b))
		return err
	})
}

func (w *wild) truncate(name string, size int) error {
	return w.set(name, existing(wr), wire.FileEndOfFileInformation, le.AppendUint64(nil, uint64(size)))
}

func (w *wild) mkdir(name string) error {
	return w.with(name, opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory}, nothing)
}

func (w *wild) rename(from, to string) error {
	return w.set(from, opening{wire.AccessDelete, shareAll, wire.Open, 0}, wire.FileRenameInformation, renameInfo(to, false))
}

func (w *wild) remove(name string, dir bool) error {
	return w.set(name, opening{wire.AccessDelete, shareAll, wire.Open, 0}, wire.FileDispositionInformation, []byte{1})
}

func (w *wild) list(dir string) (map[string]int64, error) {
	all := map[string]int64{}
	err := w.with(dir, opening{rd, shareAll, wire.Open, wire.OptionDirectory}, func(id wire.FileID) error {
		for {
			r, err := w.final(w.listMsg(id, wire.FileDirectoryInformation, "*", 0, 1000))
			if errors.Is(err, wire.StatusNoMoreFiles) {
				return nil
			}
			if err != nil {
				return err
			}
			for e := r[72:]; ; e = e[le.Uint32(e):] {
				name, err := wire.UTF16ToString(e[64 : 64+le.Uint32(e[60:])])
				if err != nil {
					return err
				}
				size := int64(le.Uint64(e[40:]))
				if wire.Attributes(le.Uint32(e[56:]))&wire.AttributeDirectory != 0 {
					size = -1
				}
				if name != "." && name != ".." {
					all[strings.ToLower(name)] = size
				}
				if le.Uint32(e) == 0 {
					break
				}
			}
		}
	})
	return all, err
}

func (w *wild) attributes(name string) (a wire.Attributes, err error) {
	err = w.with(name, existing(wire.AccessReadAttributes), func(id wire.FileID) error {
		r, err := w.final(w.queryMsg(id, wire.InfoFile, uint8(wire.FileBasicInformation), 40))
		if err == nil {
			a = wire.Attributes(le.Uint32(r[72+32:]))
		}
		return err
	})
	return a, err
}

// putStream gives a stream other content.
func (w *wild) putStream(name string, data []byte) error {
	return w.with(name, opening{wire.AccessAll, shareAll, wire.OverwriteIf, 0}, func(id wire.FileID) error {
		_, err := w.final(w.writeMsg(id, 0, data))
		return err
	})
}

// count adds 1 to the number in a file, while nobody else does.
func (w *wild) count(name string) error {
	return w.with(name, existing(rd|wr), func(id wire.FileID) error {
		if _, err := w.final(w.lockMsg(id, 0, 1, wire.LockExclusive)); err != nil {
			return err
		}
		r, err := w.final(w.readMsg(id, 0, 8))
		if err != nil {
			return err
		}
		if _, err = w.final(w.writeMsg(id, 0, le.AppendUint64(nil, le.Uint64(r[80:])+1))); err != nil {
			return err
		}
		_, err = w.final(w.lockMsg(id, 0, 1, wire.LockUnlock))
		return err
	})
}

// crowd is many clients and what they should see.
type crowd struct {
	t       *testing.T
	entries [modelDirs][modelNames]modelEntry
	streams bool // the file system has them
	counted atomic.Uint64
	done    atomic.Int64
	failed  atomic.Bool
}

func entryName(dir, name int) string { return fmt.Sprintf(`d%d\f%d`, dir, name) }

// worker is one of them.
type worker struct {
	*crowd
	i      int
	rnd    *rand.Rand
	c      modelClient
	w      *wild // c, if it is ours
	region []byte
}

// differs says what is not as it should be, and stops all.
func (k *worker) differs(format string, args ...any) {
	k.failed.Store(true)
	k.t.Errorf("client %d: %s", k.i, fmt.Sprintf(format, args...))
}

// spelled is a name in some case.
func (k *worker) spelled(name string) string {
	if k.rnd.IntN(4) == 0 {
		return strings.ToUpper(name)
	}
	return name
}

// wants compares an error with the one that should be.
func (k *worker) wants(what, name string, err, want error) bool {
	if want == nil && err == nil || want != nil && errors.Is(err, want) {
		return true
	}
	k.differs("%s %s: %v, want %v", what, name, err, want)
	return false
}

func (k *worker) bytes(most int) []byte {
	b := make([]byte, k.rnd.IntN(most)+1)
	for i := range b {
		b[i] = byte(k.rnd.Uint32())
	}
	return b
}

// step does one thing, of what can be done to what is there.
func (k *worker) step() {
	d, n := k.rnd.IntN(modelDirs), k.rnd.IntN(modelNames)
	e, name := &k.entries[d][n], k.spelled(entryName(d, n))
	switch op := k.rnd.IntN(100); {
	case op < 25:
		k.look(e, name)
	case op < 75:
		k.change(e, name)
	case op < 83:
		k.rename(d, n)
	case op < 86:
		k.list(d)
	case op < 96 || k.w == nil:
		k.ownRegion()
	default:
		if err := k.w.count("counter"); k.wants("count", "counter", err, nil) {
			k.counted.Add(1)
		}
	}
	k.done.Add(1)
}

func (k *worker) look(e *modelEntry, name string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.kind == isDir {
		return
	}
	var want error
	if e.kind == missing {
		want = os.ErrNotExist
	}
	got, err := k.c.read(name)
	if k.wants("read", name, err, want) && !bytes.Equal(got, e.data) {
		k.differs("read %s: %d bytes, want %d, the first difference at %d", name, len(got), len(e.data), firstDifference(got, e.data))
	}
	if e.kind != isFile || k.w == nil {
		return
	}
	if a, err := k.w.attributes(name); k.wants("attributes", name, err, nil) && a != max(e.attrs, wire.AttributeNormal*b2a(e.attrs == 0)) {
		k.differs("attributes of %s: %#x, want %#x", name, a, e.attrs)
	}
	for _, s := range []string{"one", "two"} {
		data, there := e.streams[s]
		var want error
		if !there {
			want = os.ErrNotExist
		}
		got, err := k.w.read(name + ":" + s)
		if k.wants("read", name+":"+s, err, want) && !bytes.Equal(got, data) {
			k.differs("read %s:%s: %d bytes, want %d", name, s, len(got), len(data))
		}
	}
}

func b2a(b bool) wire.Attributes {
	if b {
		return 1
	}
	return 0
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func (k *worker) change(e *modelEntry, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var there, taken error
	if e.kind == missing {
		there = os.ErrNotExist
	} else {
		taken = os.ErrExist
	}
	op := k.rnd.IntN(10)
	if e.kind == isDir && op > 1 {
		op = 9
	}
	if e.kind == missing && op > 3 {
		op = 0
	}
	switch op {
	case 0:
		if k.wants("create", name, k.c.create(name), taken) && taken == nil {
			e.kind, e.data, e.attrs, e.streams = isFile, nil, wire.AttributeArchive, map[string][]byte{}
		}
	case 1:
		if k.wants("mkdir", name, k.c.mkdir(name), taken) && taken == nil {
			e.kind = isDir
		}
	case 2, 3, 4:
		off, data := k.rnd.IntN(40_000), k.bytes(30_000)
		if k.wants("write", name, k.c.write(name, off, data), there) && there == nil {
			e.data = append(e.data, make([]byte, max(0, off+len(data)-len(e.data)))...)
			copy(e.data[off:], data)
			e.attrs |= wire.AttributeArchive
		}
	case 5, 6:
		size := k.rnd.IntN(70_000)
		if k.wants("truncate", name, k.c.truncate(name, size), there) && there == nil {
			e.data = append(e.data[:min(size, len(e.data))], make([]byte, max(0, size-len(e.data)))...)
			e.attrs |= wire.AttributeArchive
		}
	case 7, 8:
		if k.w != nil && k.streams {
			k.setMore(e, name)
		}
	case 9:
		if k.wants("remove", name, k.c.remove(name, e.kind == isDir), there) && there == nil {
			e.kind, e.data, e.attrs, e.streams = missing, nil, 0, nil
		}
	}
}

// setMore sets what not all clients know of.
func (k *worker) setMore(e *modelEntry, name string) {
	s := []string{"one", "two"}[k.rnd.IntN(2)]
	switch _, there := e.streams[s]; {
	case k.rnd.IntN(2) == 0:
		a := []wire.Attributes{wire.AttributeHidden, wire.AttributeSystem | wire.AttributeArchive, wire.AttributeNormal}[k.rnd.IntN(3)]
		if k.wants("set attributes", name, k.w.set(name, existing(wire.AccessWriteAttributes), wire.FileBasicInformation, basicInfo(a)), nil) {
			e.attrs = a &^ wire.AttributeNormal
		}
	case !there || k.rnd.IntN(2) == 0:
		data := k.bytes(500)
		if k.wants("write", name+":"+s, k.w.putStream(name+":"+s, data), nil) {
			e.streams[s] = data
			e.attrs |= wire.AttributeArchive
		}
	default:
		if k.wants("remove", name+":"+s, k.w.remove(name+":"+s, false), nil) {
			delete(e.streams, s)
		}
	}
}

// rename gives what has a name another one.
func (k *worker) rename(d, n int) {
	d2, n2 := k.rnd.IntN(modelDirs), k.rnd.IntN(modelNames)
	from, to := &k.entries[d][n], &k.entries[d2][n2]
	if from == to {
		return
	}
	first, second := from, to
	if d2 < d || d2 == d && n2 < n {
		first, second = to, from
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	var want error
	switch {
	case from.kind == missing:
		want = os.ErrNotExist
	case k.w == nil && from.kind == isFile && to.kind == isFile: // go-smb2 has a file replaced
	case k.w == nil && to.kind != missing:
		want = os.ErrPermission
	case to.kind != missing:
		want = os.ErrExist
	}
	old, name := k.spelled(entryName(d, n)), entryName(d2, n2)
	if k.wants("rename to "+name, old, k.c.rename(old, name), want) && want == nil {
		to.kind, to.data, to.attrs, to.streams = from.kind, from.data, from.attrs, from.streams
		from.kind, from.data, from.attrs, from.streams = missing, nil, 0, nil
		if to.kind == isFile {
			to.attrs |= wire.AttributeArchive
		}
	}
}

// list compares a whole directory.
func (k *worker) list(d int) {
	want := map[string]int64{}
	for n := range k.entries[d] {
		e := &k.entries[d][n]
		e.mu.RLock()
		defer e.mu.RUnlock()
		switch e.kind {
		case isFile:
			want[fmt.Sprintf("f%d", n)] = int64(len(e.data))
		case isDir:
			want[fmt.Sprintf("f%d", n)] = -1
		}
	}
	got, err := k.c.list(fmt.Sprintf("d%d", d))
	if k.wants("list", fmt.Sprintf("d%d", d), err, nil) && !maps.Equal(got, want) {
		k.differs("list d%d: %v, want %v", d, got, want)
	}
}

// ownRegion writes to a part of a file of which others write other parts.
func (k *worker) ownRegion() {
	if k.rnd.IntN(2) == 0 {
		data := k.bytes(regionSize)
		if k.wants("write", "regions", k.c.write("regions", k.i*regionSize, data), nil) {
			copy(k.region, data)
		}
		return
	}
	got, err := k.c.read("regions")
	if k.wants("read", "regions", err, nil) && (len(got) != modelClients*regionSize || !bytes.Equal(got[k.i*regionSize:(k.i+1)*regionSize], k.region)) {
		k.differs("its region is not what it has written")
	}
}

// onDisk compares what there is in the end.
func (c *crowd) onDisk(dir string) {
	for d := range c.entries {
		entries, err := os.ReadDir(filepath.Join(dir, fmt.Sprintf("d%d", d)))
		if err != nil {
			c.t.Fatal(err)
		}
		real := map[string]os.DirEntry{}
		for _, e := range entries {
			real[strings.ToLower(e.Name())] = e
		}
		for n := range c.entries[d] {
			e, name := &c.entries[d][n], fmt.Sprintf("f%d", n)
			got, there := real[name]
			delete(real, name)
			if there != (e.kind != missing) || there && got.IsDir() != (e.kind == isDir) {
				c.t.Errorf("d%d/%s is there: %v, and should be %v", d, name, there, e.kind)
			} else if e.kind == isFile {
				if b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("d%d", d), got.Name())); err != nil || !bytes.Equal(b, e.data) {
					c.t.Errorf("d%d/%s has %d bytes, should have %d: %v", d, name, len(b), len(e.data), err)
				}
			}
		}
		if len(real) > 0 {
			c.t.Errorf("d%d has more: %q", d, slices.Collect(maps.Keys(real)))
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "counter"))
	if err != nil || le.Uint64(b) != c.counted.Load() {
		c.t.Errorf("counted to %x, should be %d: %v", b, c.counted.Load(), err)
	}
}

// Many clients of two kinds do this and that to one tree at the same time, and each sees what a model says. With
// -model.time they do it for longer; scripts/model.sh does that.
func TestManyClientsSeeWhatAModelSays(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-model.seed %d", seed)
	ts := startServer(t, nil)
	for name, size := range map[string]int{"regions": modelClients * regionSize, "counter": 8} {
		if err := os.WriteFile(filepath.Join(ts.dir, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for d := range modelDirs {
		if err := os.Mkdir(filepath.Join(ts.dir, fmt.Sprintf("d%d", d)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := vfs.OpenRoot(ts.dir, vfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, streams: root.HasXattrs()}
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	until := time.Now().Add(*modelTime)
	for i := range modelClients {
		k := &worker{crowd: c, i: i, rnd: rand.New(rand.NewPCG(seed, uint64(i))), region: make([]byte, regionSize)}
		if i%2 == 0 {
			if k.w, err = ts.wild(t); err != nil {
				t.Fatal(err)
			}
			defer k.w.conn.Close()
			k.c = k.w
		} else {
			dialects := []uint16{0x202, 0x210, 0x300, 0x302, 0x311}
			k.c = goClient{ts.mount(t, "pub", smb2.Negotiator{SpecifiedDialect: dialects[i%len(dialects)]})}
		}
		all.Go(func() {
			for !k.failed.Load() && time.Now().Before(until) {
				k.step()
			}
		})
	}
	all.Wait()
	t.Logf("%d steps of %d clients in %v, %d times counted", c.done.Load(), modelClients, *modelTime, c.counted.Load())
	if !c.failed.Load() {
		c.onDisk(ts.dir)
	}
}
