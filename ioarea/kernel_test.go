package ioarea

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A peer is the other end of a stream, as the test plays it.
type peer interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// streams are the kinds of stream that a Kernel source runs over.
var streams = []struct {
	name string
	open func(testing.TB) (rd, wr Descriptor, p peer)
}{
	{"TCP", openTCP},
	{"Unix socket", openUnix},
	{"plain descriptor", openPlain},
	{"two pipes", openPipes},
}

func openTCP(t testing.TB) (rd, wr Descriptor, p peer) {
	server, client := tcpPair(t)
	return server, server, client
}

func tcpPair(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

func socketpair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

func unixConn(t testing.TB, fd int) *net.UnixConn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn)
}

func openUnix(t testing.TB) (rd, wr Descriptor, p peer) {
	a, b := socketpair(t)
	server, client := unixConn(t, a), unixConn(t, b)
	t.Cleanup(func() { client.Close() })
	return server, server, client
}

func openPlain(t testing.TB) (rd, wr Descriptor, p peer) {
	a, b := socketpair(t)
	d, err := FileDescriptor(a, "plain socket")
	if err != nil {
		t.Fatal(err)
	}
	client := unixConn(t, b)
	t.Cleanup(func() { client.Close() })
	return d, d, client
}

// pipePeer is the two far ends of two pipes.
type pipePeer struct{ r, w *os.File }

func (p pipePeer) Read(b []byte) (int, error)  { return p.r.Read(b) }
func (p pipePeer) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipePeer) CloseWrite() error           { return p.w.Close() }
func (p pipePeer) Close() error                { return errors.Join(p.r.Close(), p.w.Close()) }

func openPipes(t testing.TB) (rd, wr Descriptor, p peer) {
	r1, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	far := pipePeer{r2, w1}
	t.Cleanup(func() { far.Close() })
	return r1, w2, far
}

// start puts an area before the stream; ended gives why it ended.
func start(t testing.TB, p *Pool, rd, wr Descriptor) (a *Area, ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	a, err := StartKernel(p, rd, wr, func(err error) { ended <- err })
	if err != nil {
		t.Fatal(err)
	}
	return a, ended
}

// echo answers with what it got.
type echo struct{ min int }

func (e echo) Handle(a *Area) (Next, error) {
	for n := a.In.Len(); n >= e.min && n > 0; n = a.In.Len() {
		n = min(n, a.Out.Cap())
		out, err := a.Out.Reserve(n, Forever)
		if err != nil {
			return Next{}, err
		}
		copy(out, a.In.Peek(n))
		a.In.Consume(n)
		a.Out.Commit(n)
	}
	return Next{Min: e.min, Within: Forever}, nil
}

func TestKernelStreamsCarryEveryByteBothWays(t *testing.T) {
	total := 16 << 20
	if raceEnabled {
		total = 4 << 20
	}
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newTestPool(t, 64<<10, 32<<10, 1)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			stream := a.Stream()
			served := make(chan error, 1)
			go func() { served <- Serve(a, echo{1}) }()
			sent := sha256.New()
			go func() {
				b := make([]byte, 100_003)
				for off := 0; off < total; off += len(b) {
					b = b[:min(len(b), total-off)]
					fill(b, uint64(off))
					sent.Write(b)
					if _, err := peer.Write(b); err != nil {
						t.Error(err)
						return
					}
				}
				if err := peer.CloseWrite(); err != nil {
					t.Error(err)
				}
			}()
			got := sha256.New()
			n, err := io.Copy(got, peer)
			if n != int64(total) || err != nil {
				t.Fatalf("%d bytes of %d came back, %v", n, total, err)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if err := <-ended; err != nil {
				t.Errorf("ended with %v", err)
			}
			if !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
				t.Error("other bytes came back")
			}
			st := stream.Stats()
			if st.BytesIn != uint64(total) || st.BytesOut != uint64(total) || st.Syscalls == 0 || st.RingIn != 0 {
				t.Errorf("%+v", st)
			}
			if p.Made() != 1 || len(p.free) != 1 {
				t.Errorf("%d areas are mapped, %d idle", p.Made(), len(p.free))
			}
		})
	}
}

func TestTheKernelTellsHowAStreamEnded(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(t *testing.T, server, client *net.TCPConn)
		want error
	}{
		{"in order", func(_ *testing.T, _, c *net.TCPConn) { c.CloseWrite() }, io.EOF},
		{"in the middle", func(_ *testing.T, _, c *net.TCPConn) { c.Write([]byte("part")); c.CloseWrite() }, io.ErrUnexpectedEOF},
		{"reset", func(_ *testing.T, _, c *net.TCPConn) { c.SetLinger(0); c.Close() }, syscall.ECONNRESET},
		{"closed on this side", func(_ *testing.T, s, _ *net.TCPConn) { s.Close() }, net.ErrClosed},
		{"nothing came", func(*testing.T, *net.TCPConn, *net.TCPConn) {}, ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, MinRing, 0)
			server, client := tcpPair(t)
			a, ended := start(t, p, server, server)
			c.act(t, server, client)
			timeout := 10 * time.Second
			if c.want == ErrTimeout {
				timeout = 10 * time.Millisecond
			}
			err := a.In.Wait(10, timeout)
			if !errors.Is(err, c.want) {
				t.Errorf("Wait: %v, want %v", err, c.want)
			}
			a.Abort(err)
			if got := <-ended; got != err {
				t.Errorf("onDone was told %v, the handler aborted with %v", got, err)
			}
		})
	}
}

// TestAfterThePeersLastByteItStillGetsItsAnswer: half-close inward.
func TestAfterThePeersLastByteItStillGetsItsAnswer(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, MinRing, 0)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			if _, err := peer.Write([]byte("question")); err != nil {
				t.Fatal(err)
			}
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := a.In.Wait(9, Forever); err != io.ErrUnexpectedEOF {
				t.Fatalf("Wait: %v", err)
			}
			if err := a.Out.Append(Forever, []byte("answer to "), a.In.Peek(-1)); err != nil {
				t.Fatal(err)
			}
			a.Close()
			if got, err := io.ReadAll(peer); string(got) != "answer to question" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAHandlerMayEndItsSideFirst: half-close outward.
func TestAHandlerMayEndItsSideFirst(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, MinRing, 0)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			if err := a.Out.Append(NoWait, []byte("that is all")); err != nil {
				t.Fatal(err)
			}
			a.Out.Close(nil)
			if got, err := io.ReadAll(peer); string(got) != "that is all" || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
			if _, err := peer.Write([]byte("but not here")); err != nil {
				t.Fatal(err)
			}
			if err := a.In.Wait(12, Forever); err != nil || string(a.In.Peek(-1)) != "but not here" {
				t.Fatalf("%q, %v", a.In.Peek(-1), err)
			}
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			a.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASlowReaderLosesNothing(t *testing.T) {
	const total = 6 << 20
	for _, s := range streams[:2] { // each takes seconds
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newTestPool(t, MinRing, 8<<20, 0)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			stream := a.Stream()
			produce(t, a.Out, total)
			a.Close() // the peer has read nothing yet
			// It sends on, which nobody wants any more, and reads now and then, for
			// longer than lingerTime in all.
			written := make(chan error, 1)
			go func() {
				_, err := peer.Write(make([]byte, 2<<20))
				written <- err
			}()
			b := make([]byte, 64<<10)
			pause := time.NewTicker(lingerTime / 4)
			defer pause.Stop()
			off := 0
			for {
				n, err := peer.Read(b)
				checkBytes(t, b[:n], uint64(off))
				before := off
				off += n
				if err != nil {
					if err != io.EOF || off != total {
						t.Errorf("%v after %d bytes of %d", err, off, total)
					}
					break
				}
				if off < total*3/4 && before*8/total != off*8/total {
					<-pause.C
				}
			}
			if err := <-written; err != nil {
				t.Errorf("the peer could not write: %v", err)
			}
			peer.Close()
			if err := <-ended; err != nil {
				t.Errorf("ended with %v, %+v", err, stream.Stats())
			}
		})
	}
}

// TestAReplyIsNotLostWithUnreadInput: closing a socket with unread input resets
// it, and the reset would overtake the reply.
func TestAReplyIsNotLostWithUnreadInput(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, 1<<20, 0)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			written := make(chan error, 1)
			go func() {
				_, err := peer.Write(make([]byte, 1<<20))
				written <- errors.Join(err, peer.CloseWrite())
			}()
			if err := a.In.Wait(MinRing, Forever); err != nil { // the ring is full, and more comes
				t.Fatal(err)
			}
			produce(t, a.Out, 1<<20)
			a.Close()
			got, err := io.ReadAll(peer)
			if err != nil || len(got) != 1<<20 {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			checkBytes(t, got, 0)
			if err := <-written; err != nil {
				t.Errorf("the peer could not write: %v", err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// closingAtDeadline is a connection whose area is closed at the moment at which a read
// of it comes back with its deadline.
type closingAtDeadline struct {
	*net.TCPConn
	closeArea func()
}

type closingRaw struct {
	syscall.RawConn
	closeArea func()
}

func (c closingAtDeadline) SyscallConn() (syscall.RawConn, error) {
	rc, err := c.TCPConn.SyscallConn()
	return closingRaw{rc, c.closeArea}, err
}

func (c closingRaw) Read(f func(uintptr) bool) error {
	err := c.RawConn.Read(f)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.closeArea()
	}
	return err
}

// The handler leaves just when the stream was idle for so long that its pages are to be
// given back: the reply is not cut off by what the peer still sends.
func TestAReplyIsNotLostToTheIdleTimer(t *testing.T) {
	const size = 2 << 20 // fits the kernel's buffers
	p := newTestPool(t, 1<<20, size, 0)
	server, client := tcpPair(t)
	area, closed := make(chan *Area, 1), make(chan struct{})
	d := closingAtDeadline{server, sync.OnceFunc(func() { (<-area).Close(); close(closed) })}
	a, ended := start(t, p, d, d)
	area <- a
	const request = 100 << 10 // so much that there are pages to give back
	if _, err := client.Write(make([]byte, request)); err != nil {
		t.Fatal(err)
	}
	if err := a.In.Wait(request, Forever); err != nil {
		t.Fatal(err)
	}
	a.In.Consume(request)
	produce(t, a.Out, size)
	<-closed
	if _, err := client.Write([]byte("one more")); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(client)
	if err != nil || len(got) != size {
		t.Fatalf("the peer got %d bytes of %d, then %v", len(got), size, err)
	}
	checkBytes(t, got, 0)
	client.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A tagged descriptor is of a type that can't be compared.
type tagged struct {
	Descriptor
	tags []string
}

func TestADescriptorMayBeOfAnyType(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, MinRing, 0)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, tagged{rd, nil}, tagged{wr, nil})
			produce(t, a.Out, 10)
			a.Out.Close(nil)
			got, err := io.ReadAll(io.LimitReader(peer, 10))
			if err != nil || len(got) != 10 {
				t.Errorf("the peer got %d bytes, then %v", len(got), err)
			}
			// Its own side is open still, whatever kind of stream it is.
			if _, err := peer.Write([]byte("more")); err != nil {
				t.Error(err)
			}
			if err := a.In.Wait(4, Forever); err != nil {
				t.Error(err)
			}
			peer.Close()
			a.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAbortResetsTheConnection(t *testing.T) {
	p := newTestPool(t, MinRing, 8<<20, 0)
	for _, c := range []struct {
		name string
		out  int
		err  error
	}{{"idle", 0, errors.New("broken")}, {"while sending", 8 << 20, errors.New("broken")}, {"without a reason", 0, nil}, {"with the end of a stream", 10, io.EOF}} {
		t.Run(c.name, func(t *testing.T) {
			server, client := tcpPair(t)
			a, ended := start(t, p, server, server)
			produce(t, a.Out, c.out)
			a.Abort(c.err)
			err := <-ended
			if want := c.err; err != want && (want != nil || err != ErrClosed) {
				t.Errorf("ended with %v", err)
			}
			if _, err := io.Copy(io.Discard, client); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the peer saw %v", err)
			}
		})
	}
}

// TestATruncatedAnswerDoesNotLookWhole: the peer reads nothing while the stream
// lingers, and too late.
func TestATruncatedAnswerDoesNotLookWhole(t *testing.T) {
	t.Parallel()
	p := newTestPool(t, MinRing, 32<<20, 0)
	server, client := tcpPair(t)
	a, ended := start(t, p, server, server)
	produce(t, a.Out, 32<<20)
	a.Close()
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
	if n, err := io.Copy(io.Discard, client); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer saw %d bytes of %d and %v", n, 32<<20, err)
	}
}

func TestAPeerThatIsGoneEndsTheWaitForRoom(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, MinRing, 0)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			peer.Close()
			var err error
			for err == nil {
				err = a.Out.Append(Forever, make([]byte, MinRing/2))
			}
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Append: %v", err)
			}
			a.Abort(err)
			if got := <-ended; got != err {
				t.Errorf("ended with %v", got)
			}
		})
	}
}

func TestAStreamLeavesNoDescriptorBehind(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, MinRing, MinRing, 1)
			before := descriptors(t)
			for i := range 20 {
				rd, wr, peer := s.open(t)
				a, ended := start(t, p, rd, wr)
				if i%2 == 0 {
					a.Abort(nil)
					<-ended
					peer.Close()
				} else {
					peer.Close()
					a.Close()
					<-ended
				}
			}
			if after := descriptors(t); after > before {
				t.Errorf("%d descriptors, %d before", after, before)
			}
			if p.Made() > 1 {
				t.Errorf("%d areas are mapped", p.Made())
			}
		})
	}
}

func TestWhatIsNoStreamIsRefused(t *testing.T) {
	p := newTestPool(t, MinRing, MinRing, 0)
	t.Run("regular file", func(t *testing.T) {
		f, err := os.Open("kernel_test.go")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := StartKernel(p, f, f, nil); !errors.Is(err, os.ErrNoDeadline) {
			t.Errorf("StartKernel: %v", err)
		}
		fd, err := unix.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		before := descriptors(t)
		if _, err := FileDescriptor(fd, "file"); !errors.Is(err, os.ErrNoDeadline) {
			t.Errorf("FileDescriptor: %v", err)
		}
		if descriptors(t) != before-1 {
			t.Error("the descriptor was not closed")
		}
	})
	t.Run("bad descriptor", func(t *testing.T) {
		if _, err := FileDescriptor(-1, "nothing"); !errors.Is(err, unix.EBADF) {
			t.Errorf("FileDescriptor: %v", err)
		}
	})
	t.Run("closed connection", func(t *testing.T) {
		server, _ := tcpPair(t)
		server.Close()
		if _, err := StartKernel(p, server, server, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("StartKernel: %v", err)
		}
	})
	t.Run("closed pool", func(t *testing.T) {
		server, client := tcpPair(t)
		defer server.Close()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := StartKernel(p, server, server, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("StartKernel: %v", err)
		}
		if _, err := server.Write([]byte("x")); err != nil {
			t.Errorf("the connection is no longer the caller's: %v", err)
		}
		_ = client
	})
	if p.Made() != 0 {
		t.Errorf("%d areas are mapped", p.Made())
	}
}

// TestStatsMayBeAskedAtAnyTime, also while and after the stream ends.
func TestStatsMayBeAskedAtAnyTime(t *testing.T) {
	p := newTestPool(t, MinRing, MinRing, 1)
	server, client := tcpPair(t)
	a, ended := start(t, p, server, server)
	stream := a.Stream()
	if stream.Kind() != "kernel" || stream.LocalAddr().String() != client.RemoteAddr().String() || stream.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("%s %v %v", stream.Kind(), stream.LocalAddr(), stream.RemoteAddr())
	}
	if _, err := client.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := a.In.Wait(100, Forever); err != nil {
		t.Fatal(err)
	}
	if st := stream.Stats(); st.BytesIn != 100 || st.RingIn != 100 || st.Window == 0 || st.Cwnd == 0 || st.RTT == 0 || st.Congested == "" {
		t.Errorf("%+v", st)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				stream.Stats()
			}
		}
	}()
	go Serve(a, echo{1})
	if _, err := io.CopyN(io.Discard, client, 100); err != nil {
		t.Error(err)
	}
	client.Close()
	<-ended
	close(stop)
	<-stopped
	if st := stream.Stats(); st.BytesIn != 100 || st.BytesOut != 100 {
		t.Errorf("%+v", st)
	}
}

// TestAnIdleKernelStreamGivesItsPagesBack, though its handler is not asked.
func TestAnIdleKernelStreamGivesItsPagesBack(t *testing.T) {
	const size = 4 << 20
	p := newTestPool(t, 8<<20, MinRing, 0)
	rd, wr, peer := openUnix(t)
	a, ended := start(t, p, rd, wr)
	before := sharedMemory(t)
	burst := func() {
		t.Helper()
		b := make([]byte, size)
		fill(b, a.In.Start())
		if _, err := peer.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := a.In.Wait(size, Forever); err != nil {
			t.Fatal(err)
		}
		if got := sharedMemory(t) - before; got < size {
			t.Fatalf("%s resident of %s", mib(got), mib(size))
		}
		checkBytes(t, a.In.Peek(-1), a.In.Start())
		a.In.Consume(size)
	}
	burst()
	eventually(t, "the pages are given back", func() bool { return sharedMemory(t)-before <= 2*trimTo })
	burst() // it goes on afterwards
	peer.Close()
	a.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
