package smbproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// TestServeUntilKilled is no test of its own: child runs it in another process, which is killed.
func TestServeUntilKilled(t *testing.T) {
	dir := os.Getenv("SMB_TEST_SERVE")
	if dir == "" {
		t.Skip("is run by tests that kill a server")
	}
	ts := startServer(t, func(c *Config) { *c = testConfig(dir) })
	fmt.Println(ts.addr)
	select {}
}

// child starts a server in a process of its own, by a command that is put before it, and returns a client and
// the way to kill it.
func child(t *testing.T, dir string, before ...string) (w *wild, kill func()) {
	t.Helper()
	args := append(before, os.Args[0], "-test.run", "^TestServeUntilKilled$")
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "SMB_TEST_SERVE="+dir, "TMPDIR="+t.TempDir()) // it takes nothing away itself
	c.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	dead := false
	kill = func() {
		if !dead {
			dead = true
			_ = unix.Kill(-c.Process.Pid, unix.SIGKILL) // with what traces it
			_ = c.Wait()
		}
	}
	t.Cleanup(kill)
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{addr: strings.TrimSpace(addr)}
	if w, err = ts.wild(t); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	return w, kill
}

func (w *wild) ok(msg []byte) {
	w.t.Helper()
	if r, err := w.tell(msg); err != nil || status(r) != wire.StatusOK {
		w.t.Fatalf("%v: %v", wire.Header(msg).Command(), err)
	}
}

func (w *wild) flushMsg(id wire.FileID) []byte {
	return w.request(wire.CommandFlush, 24, func(m []byte) { id.Put(m[72:]) })
}

func (w *wild) throughMsg(id wire.FileID, off uint64, data []byte) []byte {
	m := w.writeMsg(id, off, data)
	le.PutUint32(m[108:], wire.WriteThrough)
	return m
}

// What a WRITE that is to go through, or a FLUSH, has acknowledged is in its file when the server has been killed in the
// midst of its work; and a server that is started again finds everything in order.
func TestWhatWasAcknowledgedOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	const size = 4096
	block := func(n int) []byte { return bytes.Repeat(binary.BigEndian.AppendUint64(nil, uint64(n)+1), size/8) }
	for round := range 3 {
		name := fmt.Sprintf("file%d", round)
		w, kill := child(t, dir)
		id := w.made(name, anyOpen)
		stream := w.made(name+":stream", anyOpen)
		var acknowledged []int
		enough := rand.IntN(100) + 20
		answered := make(chan int, 1000)
		killed := make(chan bool)
		go func() {
			defer close(killed)
			for range answered {
				if enough--; enough == 0 {
					kill()
					return
				}
			}
			t.Error("the server ended by itself")
		}()
		unflushed := []int{}
		for n := 0; ; n++ {
			var err error
			var r []byte
			switch n % 3 {
			case 0:
				r, err = w.tell(w.throughMsg(id, uint64(n*size), block(n)))
				if err == nil && status(r) == wire.StatusOK {
					acknowledged = append(acknowledged, n)
				}
			case 1:
				if r, err = w.tell(w.writeMsg(id, uint64(n*size), block(n))); err == nil && status(r) == wire.StatusOK {
					unflushed = append(unflushed, n)
				}
			case 2:
				if r, err = w.tell(w.flushMsg(id)); err == nil && status(r) == wire.StatusOK {
					acknowledged, unflushed = append(acknowledged, unflushed...), nil
				}
				if err == nil { // what is kept in xattrs is in the midst of being changed, too
					err = w.send(w.writeMsg(stream, 0, block(n)[:1000]), w.setMsg(id, wire.FileBasicInformation, basicInfo(wire.Attributes(2+n%2*32))))
				}
				for range 2 {
					if err == nil {
						_, err = w.receive()
					}
				}
			}
			if err != nil {
				break
			}
			answered <- n
		}
		close(answered)
		<-killed
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range acknowledged {
			if len(b) < (n+1)*size || !bytes.Equal(b[n*size:(n+1)*size], block(n)) {
				t.Errorf("round %d: block %d was acknowledged, and is not in the file of %d bytes", round, n, len(b))
			}
		}
		if len(acknowledged) < 5 {
			t.Errorf("only %d blocks were acknowledged", len(acknowledged))
		}
		p := connect(t, newServerIn(t, dir, nil), dir).logOn("pub")
		again := p.open(name, opening{wire.AccessAll, shareAll, wire.Open, 0})
		r := p.want(p.queryMsg(again, wire.InfoFile, uint8(wire.FileBasicInformation), 40), wire.StatusOK)
		if a := wire.Attributes(le.Uint32(r[72+32:])); a&^(wire.AttributeHidden|wire.AttributeArchive) != 0 || a == 0 {
			t.Errorf("attributes %#x", a)
		}
		if s := p.get(name + ":stream"); len(s) != 1000 && len(s) != 0 || len(s) > 8 && s[:8] != s[992:] {
			t.Errorf("the stream has %d bytes, or some of two writes", len(s))
		}
		p.want(p.closeMsg(again), wire.StatusOK)
		p.hangUp()
	}
}

// The answer to a FLUSH, or to a WRITE that is to go through, comes after fsync(2) has returned: what the kernel keeps in its
// memory outlives the server, but no loss of power.
func TestAnAcknowledgedFlushIsOnDisk(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: apt-get install strace")
	}
	if err := exec.Command(strace, "-o", os.DevNull, os.Args[0], "-test.run", "^$").Run(); err != nil {
		t.Skip("strace may not trace here: ", err)
	}
	log := filepath.Join(t.TempDir(), "log")
	w, _ := child(t, t.TempDir(), strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", log)
	synced := func() int {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for line := range strings.Lines(string(b)) {
			if strings.HasSuffix(line, "= 0\n") {
				done++
			}
		}
		return done
	}
	id := w.made("file", anyOpen)
	through := w.made("through", opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionWriteThrough})
	stream := w.made("file:s", anyOpen)
	dir := w.made("dir", opening{wire.AccessWriteData, shareAll, wire.Create, wire.OptionDirectory})
	there := w.made("dir", opening{wire.AccessWriteData, shareAll, wire.Open, wire.OptionDirectory})
	r, err := w.tell(w.ioctlMsg(wire.FsctlRequestResumeKey, id, nil, 32))
	if err != nil {
		t.Fatal(err)
	}
	key := r[112:]
	for _, c := range []struct {
		name  string
		msg   func() []byte
		syncs int
	}{
		{"WRITE", func() []byte { return w.writeMsg(id, 0, []byte("data")) }, 0},
		{"FLUSH", func() []byte { return w.flushMsg(id) }, 1},
		{"WRITE that is to go through", func() []byte { return w.throughMsg(id, 0, []byte("data")) }, 1},
		{"WRITE by an open whose writes are to go through", func() []byte { return w.writeMsg(through, 0, []byte("data")) }, 1},
		{"WRITE to a stream", func() []byte { return w.writeMsg(stream, 0, []byte("data")) }, 0},
		{"WRITE to a stream that is to go through", func() []byte { return w.throughMsg(stream, 0, []byte("data")) }, 1},
		{"FLUSH of a stream", func() []byte { return w.flushMsg(stream) }, 1},
		{"a copy to such an open", func() []byte {
			return w.ioctlMsg(wire.FsctlCopyChunkWrite, through, copyChunkInput(key, chunk{0, 0, 4}), 12)
		}, 1},
		{"zeros by such an open", func() []byte {
			return w.ioctlMsg(wire.FsctlSetZeroData, through, le.AppendUint64(make([]byte, 8), 2), 0)
		}, 1},
		{"a size by such an open", func() []byte { return w.setMsg(through, wire.FileEndOfFileInformation, le.AppendUint64(nil, 2)) }, 1},
		{"FLUSH of a directory that was made", func() []byte { return w.flushMsg(dir) }, 1},
		{"FLUSH of a directory that is there", func() []byte { return w.flushMsg(there) }, 1},
		{"WRITE in a compound", func() []byte { return chainOf(false, w.throughMsg(id, 0, []byte("data")), w.flushMsg(id)) }, 2},
	} {
		before := synced()
		w.ok(c.msg())
		if n := synced() - before; n != c.syncs {
			t.Errorf("%s: %d times on disk when it was answered, want %d", c.name, n, c.syncs)
		}
	}
}

// What is kept in xattrs may be of any bytes, half written or of another's: files can be opened, listed, changed and deleted.
func TestTornMetadataBreaksNothing(t *testing.T) {
	p := withStreams(t)
	seed := uint64(rand.Uint32())
	rnd := rand.New(rand.NewPCG(seed, 0))
	good := make([]byte, 32)
	good[0], good[4] = 1, 2
	for i := range 200 {
		name := fmt.Sprintf("file%d", i)
		path := filepath.Join(p.dir, name)
		if i%4 == 3 {
			p.sh("mkdir " + name)
		} else {
			p.sh("write " + name)
		}
		torn := bytes.Clone(good)[:rnd.IntN(len(good)+1)]
		for range rnd.IntN(8) {
			torn = append(torn, byte(rnd.Uint32()))
		}
		for attr, value := range map[string][]byte{
			"user.ustack.attributes": torn, "user.ustack.stream.": {1}, "user.ustack.stream.a:b": {1}, "user.ustack.stream.\xff\xfe": {1},
			"user.ustack.stream.fine": torn, "user.ustack.later": torn, "user.\xff": torn,
		} {
			if err := unix.Setxattr(path, attr, value, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ERANGE) {
				t.Fatalf("%q: %v", attr, err)
			}
		}
		id := p.open(name, opening{wire.AccessAll, shareAll, wire.Open, 0})
		for _, msg := range []func() []byte{
			func() []byte { return p.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000) },
			func() []byte { return p.queryMsg(id, wire.InfoFile, uint8(wire.FileStreamInformation), 1000) },
			func() []byte {
				return p.setMsg(id, wire.FileBasicInformation, basicInfo(wire.AttributeArchive, wire.Filetime(1<<57)))
			},
			func() []byte { return p.setMsg(id, wire.FileFullEAInformation, eaList("a", "1")) },
		} {
			if s := status(p.ask(msg())); s != wire.StatusOK {
				t.Errorf("seed %d, %s: %v", seed, name, s)
			}
		}
		if got := p.get(name + ":fine"); got != string(torn) {
			t.Errorf("seed %d, %s: the stream has %q, want %q", seed, name, got, torn)
		}
		p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	p.wantNames("")
}
