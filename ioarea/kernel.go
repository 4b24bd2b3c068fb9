package ioarea

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// kernelChunk bounds one read: with the ring rewound whenever it is empty,
	// the kernel copies into the same hot pages again and again.
	kernelChunk = 256 << 10
	// lingerTime bounds how long a closed stream waits for the peer to take more
	// of what was sent, and then to close its own side.
	lingerTime = 2 * time.Second
	// drainTime bounds that in all, however slowly the peer takes.
	drainTime = 60 * time.Second
)

// A Descriptor is one direction of a kernel stream: *net.TCPConn, *net.UnixConn
// or *os.File (a pipe) in the poller's care.
type Descriptor interface {
	syscall.Conn
	io.Closer
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Kernel is an area's stream over the kernel: the receive thread of the mail as
// a goroutine that reads from a descriptor straight into In, and a sender that
// writes to one straight from Out. Each byte is copied in the system calls and
// nowhere else.
type Kernel struct {
	mu sync.Mutex
	// area is guarded by mu against Stats: finish gives it away. So is the order
	// of deadlines: once Detach has set the last ones, only the sender moves its
	// own.
	area *Area

	detachedAt time.Time

	last Stats // what TCP said when the descriptors were closed; guarded by mu

	pool    *Pool
	rd, wr  Descriptor
	both    bool // rd and wr are one descriptor
	rc, wc  syscall.RawConn
	local   net.Addr
	remote  net.Addr
	running sync.WaitGroup
	onDone  func(error)

	bytesIn, bytesOut, calls atomic.Uint64

	detached chan struct{} // closed by Detach, with err set before
	err      error

	// The receiver's own: one read's arguments and results, kept here so that
	// the poller's callback allocates nothing.
	in       []byte
	inN      int
	inErr    error
	readFunc func(fd uintptr) bool
	// The sender's own.
	outFrom   uint64 // what of Out is written
	outLen    int
	outBufs   [2*MaxLoans + 1][]byte
	outN      int
	outErr    error
	writeFunc func(fd uintptr) bool
	sendErr   error // why it stopped before all was sent
}

// FileDescriptor makes a Descriptor of a stream fd that is not yet one: a pipe, a
// socket, a terminal. The fd is set nonblocking and owned by the result; if there
// is an error, it is closed.
func FileDescriptor(fd int, name string) (Descriptor, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("ioarea: descriptor %d: %w", fd, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		// The poller does not take it: a regular file, or nothing at all.
		return nil, errors.Join(fmt.Errorf("ioarea: %s is not a stream: %w", name, err), f.Close())
	}
	return f, nil
}

// StartKernel takes an area from the pool and fills and drains it from rd and
// wr, which may be the same and are closed at the end. Two goroutines run until
// the handler has closed the area; then the area returns to the pool, and
// onDone, if not nil, is called with why the stream ended (nil: in order, and all
// that was committed has been sent). If StartKernel fails, rd and wr remain the
// caller's.
func StartKernel(pool *Pool, rd, wr Descriptor, onDone func(error)) (*Area, error) {
	rc, err := rd.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("ioarea: read side: %w", err)
	}
	wc, err := wr.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("ioarea: write side: %w", err)
	}
	// A descriptor that can't be woken by a deadline could hold its goroutine
	// and the area for ever.
	if err := rd.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("ioarea: read side is not nonblocking: %w", err)
	}
	if err := wr.SetWriteDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("ioarea: write side is not nonblocking: %w", err)
	}
	both, err := sameDescriptor(rc, wc)
	if err != nil {
		return nil, err
	}
	area, err := pool.Get()
	if err != nil {
		return nil, err
	}
	k := &Kernel{
		area: area, pool: pool, rd: rd, wr: wr, both: both, rc: rc, wc: wc,
		onDone: onDone, detached: make(chan struct{}),
	}
	if c, ok := rd.(net.Conn); ok {
		k.local, k.remote = c.LocalAddr(), c.RemoteAddr()
	}
	k.readFunc = func(fd uintptr) bool {
		k.calls.Add(1)
		k.inN, k.inErr = ignoreEINTR(func() (int, error) { return unix.Read(int(fd), k.in) })
		return k.inErr != unix.EAGAIN
	}
	k.writeFunc = func(fd uintptr) bool {
		k.calls.Add(1)
		k.outN, k.outErr = k.write(int(fd))
		return k.outErr != unix.EAGAIN
	}
	area.Bind(k)
	area.Out.TakeLoans()
	k.running.Add(2)
	go k.receive()
	go k.send()
	go k.finish()
	return area, nil
}

// sameDescriptor asks by number: a Descriptor may be of a type that can't be compared.
func sameDescriptor(rc, wc syscall.RawConn) (bool, error) {
	rd, wr := -1, -1
	err := errors.Join(
		rc.Control(func(fd uintptr) { rd = int(fd) }),
		wc.Control(func(fd uintptr) { wr = int(fd) }))
	if err != nil {
		return false, fmt.Errorf("ioarea: number of a descriptor: %w", err)
	}
	return rd == wr, nil
}

func ignoreEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Kind is "kernel".
func (k *Kernel) Kind() string { return "kernel" }

// LocalAddr and RemoteAddr are nil where the descriptor has no addresses.
func (k *Kernel) LocalAddr() net.Addr { return k.local }

// RemoteAddr: see LocalAddr.
func (k *Kernel) RemoteAddr() net.Addr { return k.remote }

// Detach ends the stream. See Stream.
func (k *Kernel) Detach(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
	close(k.detached)
	// Whoever waits in a system call comes back: the receiver now, or, if the
	// peer is given time to close, then; the sender when it had time to send.
	now := time.Now()
	k.detachedAt = now
	if err != nil {
		_ = k.rd.SetReadDeadline(now)
		_ = k.wr.SetWriteDeadline(now)
		return
	}
	_ = k.rd.SetReadDeadline(now.Add(lingerTime))
	_ = k.wr.SetWriteDeadline(now.Add(lingerTime))
}

func (k *Kernel) isDetached() bool {
	select {
	case <-k.detached:
		return true
	default:
		return false
	}
}

// receive is the mail's "thread that simply waits for next data from socket". It
// is In's producer.
func (k *Kernel) receive() {
	defer k.running.Done()
	in := k.area.In
	room := newSleeper()
	idle := idleTimer{k: k}
	for {
		for in.ArmRoom(1, room) {
			room.sleep(time.Time{})
		}
		if in.Refused() != nil {
			k.discard()
			return
		}
		in.Rewind()
		idle.start(in)
		k.in = in.at(in.End(), min(in.Free(), kernelChunk))
		err := k.rc.Read(k.readFunc)
		if idle.passed(err) {
			idle.trim(in)
			continue
		}
		if err == nil && k.inErr != nil {
			err = os.NewSyscallError("read", k.inErr)
		}
		if err != nil || k.inN == 0 {
			in.Close(err) // nil: the peer has sent all it will
			<-k.detached
			return
		}
		in.touch(in.End(), k.inN)
		k.bytesIn.Add(uint64(k.inN))
		if in.Advance(k.inN) {
			// The handler runs while the bytes are in the cache, and the ring is
			// empty again before the next read.
			runtime.Gosched()
		}
	}
}

// discard reads what the peer still sends after the handler has left, so that
// closing does not reset the connection under the reply that is on its way.
func (k *Kernel) discard() {
	if k.aborted() {
		return
	}
	k.in = make([]byte, 16<<10)
	for {
		// Even a peer that never pauses is read only until the deadline.
		if err := k.rc.Read(k.readFunc); err != nil || k.inErr != nil || k.inN == 0 {
			return
		}
	}
}

// send is the sender thread: Out's consumer.
func (k *Kernel) send() {
	defer k.running.Done()
	out := k.area.Out
	for {
		over := out.Wait(1, Forever)
		if k.aborted() {
			return
		}
		if over != nil {
			k.closeWrite()
			k.lingerOn()
			return
		}
		k.outFrom, k.outLen = out.Start(), out.Len()
		err := k.wc.Write(k.writeFunc)
		if err == nil && k.outErr != nil {
			err = os.NewSyscallError("write", k.outErr)
		}
		if err != nil {
			k.sendErr = err
			out.Refuse(err)
			k.closeRead()
			return
		}
		k.bytesOut.Add(uint64(k.outN))
		out.Consume(k.outN)
		k.lingerOn()
	}
}

// atOnce is how many slices one call writes at most: for more unix.Writev allocates.
const atOnce = 8

// write writes as much as the kernel takes.
func (k *Kernel) write(fd int) (int, error) {
	out := k.area.Out
	for again := false; ; again = true {
		bufs := out.Borrow(k.outBufs[:0], k.outFrom, k.outLen)
		bufs = bufs[:min(len(bufs), atOnce)]
		n, err := 0, out.Lost()
		if err == nil {
			n, err = ignoreEINTR(func() (int, error) {
				if len(bufs) == 1 {
					return unix.Write(fd, bufs[0])
				}
				return unix.Writev(fd, bufs)
			})
		}
		out.Return()
		if err != unix.EFAULT || again { // by now nothing of it is lent
			return n, err
		}
		tried := 0
		for _, b := range bufs {
			tried += len(b)
		}
		out.TakeBackRange(k.outFrom, tried)
	}
}

// lingerOn gives a peer that takes what was sent, however slowly, more time:
// until it has all, what it sends must be read, or closing would reset the
// connection under the reply.
func (k *Kernel) lingerOn() {
	if !k.isDetached() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		until := time.Now().Add(lingerTime)
		if last := k.detachedAt.Add(drainTime); until.After(last) {
			until = last
		}
		_ = k.rd.SetReadDeadline(until)
		_ = k.wr.SetWriteDeadline(until)
	}
}

func (k *Kernel) aborted() bool {
	ended, err := k.area.Out.Ended()
	return ended && err != nil
}

// closeWrite tells the peer that all has been sent. What is not a socket, the
// write end of a pipe, can tell it only by closing.
func (k *Kernel) closeWrite() {
	var notSocket bool
	_ = k.wc.Control(func(fd uintptr) {
		notSocket = unix.Shutdown(int(fd), unix.SHUT_WR) == unix.ENOTSOCK
	})
	if notSocket && !k.both {
		_ = k.wr.Close()
	}
}

// closeRead ends what comes in: where nothing more can be said, a handler that waits for the next request would wait for ever.
func (k *Kernel) closeRead() {
	_ = k.rc.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
}

// resetOnClose has the close of a TCP socket reset the connection: an orderly
// end would have the peer trust what it got.
func (k *Kernel) resetOnClose() {
	_ = k.wc.Control(func(fd uintptr) {
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
}

// finish ends the stream when all three have left the area: handler, receiver
// and sender.
func (k *Kernel) finish() {
	<-k.detached
	k.running.Wait()
	err := k.err
	if err == nil {
		err = k.sendErr
	}
	if err != nil {
		k.resetOnClose()
	}
	var last Stats
	k.addTCPInfo(&last) // a closed socket tells nothing
	_ = k.rd.Close()
	if !k.both {
		_ = k.wr.Close()
	}
	k.mu.Lock()
	area := k.area
	k.area = nil
	k.last = last
	k.mu.Unlock()
	if e := k.pool.Put(area); err == nil {
		err = e
	}
	if k.onDone != nil {
		k.onDone(err)
	}
}

// Stats counts one system call for each attempt to read or write.
func (k *Kernel) Stats() Stats {
	s := Stats{
		BytesIn:  k.bytesIn.Load(),
		BytesOut: k.bytesOut.Load(),
		Syscalls: k.calls.Load(),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.area == nil {
		s.Retransmits, s.Congested = k.last.Retransmits, k.last.Congested
		return s
	}
	s.RingIn, s.RingOut = k.area.In.Len(), k.area.Out.Len()
	k.addTCPInfo(&s)
	return s
}

func (k *Kernel) addTCPInfo(s *Stats) {
	if _, ok := k.rd.(*net.TCPConn); !ok {
		return
	}
	_ = k.rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		s.Retransmits = uint64(info.Total_retrans)
		s.Window = int(info.Rcv_wnd)
		s.Cwnd = int(info.Snd_cwnd)
		s.RTT = time.Duration(info.Rtt) * time.Microsecond
		s.Unacked, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		s.Congested, _ = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
}
