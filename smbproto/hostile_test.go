package smbproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"

	"ustack/smbproto/wire"
)

// wild is a client over TCP that keeps to no rule: the messages are peer's.
type wild struct {
	*peer
	conn net.Conn
}

// wild logs on as nobody and connects to pub.
func (ts *testServer) wild(t *testing.T) (*wild, error) {
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		return nil, err
	}
	w := &wild{peer: &peer{t: t}, conn: conn}
	w.session = 0
	for _, step := range []func() []byte{
		func() []byte { return w.negotiateMsg(0x0210) },
		func() []byte { return w.setupMsg(ntlmNegotiate()) },
		func() []byte { return w.setupMsg(ntlmAnonymous()) },
		func() []byte { return w.treeMsg(`\\server\pub`) },
	} {
		r, err := w.tell(step())
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		w.session, w.tree = wire.Header(r).SessionID(), wire.Header(r).TreeID()
	}
	return w, nil
}

// patience is a deadline against hanging, and judges nothing.
const patience = 2 * time.Minute

// send does not wait for an answer.
func (w *wild) send(msgs ...[]byte) error {
	var all []byte
	for _, m := range msgs {
		all = append(all, frame(m)...)
	}
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := w.conn.Write(all)
	return err
}

func (w *wild) receive() ([]byte, error) {
	head := make([]byte, wire.FrameHeaderSize)
	if _, err := io.ReadFull(w.conn, head); err != nil {
		return nil, err
	}
	msg := make([]byte, wire.FrameHeader(head).Length())
	_, err := io.ReadFull(w.conn, msg)
	return msg, err
}

// tell sends a message and returns the next answer, whatever it answers.
func (w *wild) tell(msg []byte) ([]byte, error) {
	w.charged(msg)
	if err := w.send(msg); err != nil {
		return nil, err
	}
	return w.receive()
}

// made opens or creates a file.
func (w *wild) made(name string, o opening) wire.FileID {
	r, err := w.tell(w.createMsg(name, o))
	if err != nil || len(r) < 144 {
		return wire.FileIDNone
	}
	return wire.ReadFileID(r[128:])
}

// drain takes answers while another sends, until the connection ends.
func (w *wild) drain() (stop func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, w.conn)
	}()
	return func() { w.conn.Close(); <-done }
}

// attacks are what a hostile client does until done is closed, or until it is thrown out. Each is called again then.
var attacks = []struct {
	name string
	do   func(w *wild, done <-chan struct{})
}{
	{"takes no answers", func(w *wild, done <-chan struct{}) {
		id := w.made("big", anyOpen)
		if _, err := w.tell(w.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, 1<<20))); err != nil {
			return
		}
		for range 12 { // more than the rings and the sockets hold
			if w.send(w.charged(w.readMsg(id, 0, 1<<20))) != nil {
				return
			}
		}
		<-done
	}},
	{"sends half a frame", func(w *wild, done <-chan struct{}) {
		id := w.made("half", anyOpen)
		msg := frame(w.writeMsg(id, 0, make([]byte, 1<<20)))
		if _, err := w.conn.Write(msg[:len(msg)/2]); err == nil {
			<-done
		}
	}},
	{"asks for credits", func(w *wild, done <-chan struct{}) {
		defer w.drain()()
		for running(done) {
			m := w.request(wire.CommandEcho, 4, nil)
			le.PutUint16(m[14:], 0xffff)
			if w.send(m) != nil {
				return
			}
			if w.message%100 == 0 {
				m := w.request(wire.CommandEcho, 4, nil)
				le.PutUint16(m[6:], 0xffff)
				_ = w.send(m)
				return // it ends the connection
			}
		}
	}},
	{"compounds", func(w *wild, done <-chan struct{}) {
		defer w.drain()()
		for running(done) {
			var msgs [][]byte
			for i := range DefaultMaxCompound {
				switch i % 4 {
				case 0:
					msgs = append(msgs, w.createMsg("compound", anyOpen))
				case 1:
					msgs = append(msgs, w.queryMsg(wire.FileIDNone, wire.InfoFile, uint8(wire.FileAllInformation), 1<<16))
				case 2:
					msgs = append(msgs, w.charged(w.readMsg(wire.FileIDNone, 0, 1<<20)))
				case 3:
					msgs = append(msgs, w.closeMsg(wire.FileIDNone))
				}
			}
			if w.send(chainOf(true, msgs...)) != nil {
				return
			}
		}
	}},
	{"controls", func(w *wild, done <-chan struct{}) {
		id := w.made("copied", anyOpen)
		if _, err := w.tell(w.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, 16<<20))); err != nil {
			return
		}
		r, err := w.tell(w.ioctlMsg(wire.FsctlRequestResumeKey, id, nil, 32))
		if err != nil || len(r) < 136 {
			return
		}
		var chunks []chunk
		for i := range uint64(16) {
			chunks = append(chunks, chunk{i << 20, (15 - i) << 20, 1 << 20})
		}
		in := copyChunkInput(r[112:], chunks...)
		for running(done) {
			for _, msg := range [][]byte{
				w.ioctlMsg(wire.FsctlCopyChunk, id, in, 12),
				w.ioctlMsg(wire.FsctlSetZeroData, id, twoOffsets(0, 1<<62), 0),
				w.ioctlMsg(wire.FsctlQueryAllocatedRanges, id, twoOffsets(0, 1<<62), 1<<16),
				w.ioctlMsg(wire.FsctlSetSparse, id, nil, 0),
				w.ioctlMsg(0xffffffff, id, make([]byte, 1<<16), 1<<16),
				w.ioctlMsg(wire.FsctlPipeTransceive, id, make([]byte, 1<<16), 0x7fffffff),
			} {
				if _, err := w.tell(msg); err != nil {
					return
				}
			}
		}
	}},
	{"locks", func(w *wild, done <-chan struct{}) {
		a, b := w.made("locked", anyOpen), w.made("locked", anyOpen)
		defer w.drain()()
		for off := uint64(0); running(done); off += 2 * maxLockElements {
			if w.send(w.lockMsg(a, off, maxLockElements, exclusive), w.lockMsg(b, 0, 1, wire.LockExclusive),
				w.lockMsg(b, off, maxLockElements, exclusive), w.writeMsg(b, 0, []byte("x"))) != nil {
				return
			}
			if off > 4*maxLocks {
				return
			}
		}
	}},
	{"watches", func(w *wild, done <-chan struct{}) {
		var ids []wire.FileID
		for range 100 {
			ids = append(ids, w.made("", listing))
		}
		defer w.drain()()
		for i := 0; running(done); i++ {
			for _, id := range ids {
				msg := w.charged(w.notifyMsg(id, 1<<16, 0xfff, true))
				if w.send(msg) != nil {
					return
				}
			}
			for range 20 {
				none := wire.FileIDNone
				gone := opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose | wire.OptionDirectory}
				if w.send(chainOf(true, w.createMsg(strings.Repeat("n", 200)+fmt.Sprint(i), gone), w.closeMsg(none))) != nil {
					return
				}
			}
		}
	}},
	{"streams and EAs", func(w *wild, done <-chan struct{}) {
		for i := 0; running(done); i++ {
			id := w.made(fmt.Sprintf("storm:%0200d", i%300), anyOpen)
			for _, msg := range [][]byte{
				w.charged(w.writeMsg(id, 0, make([]byte, 1<<16))), w.setMsg(id, wire.FileFullEAInformation, eaList(fmt.Sprint(i), "x")),
				w.queryMsg(id, wire.InfoFile, uint8(wire.FileStreamInformation), 1<<16), w.closeMsg(id),
			} {
				if _, err := w.tell(msg); err != nil {
					return
				}
			}
		}
	}},
	{"keeps oplocks", func(w *wild, done <-chan struct{}) {
		defer w.drain()()
		for i := 0; running(done) && i < 1000; i++ {
			batch := w.createMsg(fmt.Sprintf("oplock%d", i%100), anyOpen)
			batch[67] = 9
			if w.send(batch, w.createMsg(fmt.Sprintf("oplock%d", i%100), anyOpen)) != nil { // the second breaks the first's
				return
			}
		}
		<-done
	}},
	{"opens and leaves", func(w *wild, done <-chan struct{}) {
		for i := 0; running(done) && i < 300; i++ {
			w.made(fmt.Sprintf(`many%d`, i%50), anyOpen)
		}
	}},
	{"talks nonsense", func(w *wild, done <-chan struct{}) {
		_, _ = w.conn.Write(frame(append([]byte("\xfeSMB"), pattern(200)...)))
		_, _ = w.receive()
	}},
}

func running(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// Whatever one client does, another is served meanwhile, and the server does not grow without bound. Nothing throws the one out
// who stalls: he goes on until the other has been served, or else that never is.
func TestAHostileClientStallsNobody(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			ts := startServer(t, func(c *Config) { c.Limits.RequestTimeout, c.Limits.IdleTimeout = time.Hour, time.Hour })
			for i := range 100 { // something to be looked through
				if err := os.MkdirAll(filepath.Join(ts.dir, "tree", fmt.Sprint(i%20), fmt.Sprint(i)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			fs := ts.mount(t, "pub", smb2.Negotiator{SpecifiedDialect: 0x311}).WithContext(ctx)
			done, over := make(chan struct{}), make(chan struct{})
			first, err := ts.wild(t)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer close(over)
				for w := first; ; {
					conn, left := w.conn, make(chan struct{})
					var closing sync.WaitGroup
					closing.Go(func() {
						select {
						case <-done: // a write that is stalled ends
						case <-left:
						}
						conn.Close()
					})
					a.do(w, done)
					close(left)
					closing.Wait()
					var err error
					if !running(done) {
						return
					}
					if w, err = ts.wild(t); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			before := heap()
			for i := range 15 {
				name := fmt.Sprintf("mine%d", i)
				if err := fs.WriteFile(name, []byte(name), 0o644); err != nil {
					t.Error(err)
					break
				}
				if b, err := fs.ReadFile(name); err != nil || string(b) != name {
					t.Errorf("read %q, %v", b, err)
				}
				if err := fs.Remove(name); err != nil {
					t.Error(err)
				}
			}
			grown := heap() - before
			close(done)
			<-over
			if grown > 64<<20 {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
		})
	}
}

// heap is what is alive, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
