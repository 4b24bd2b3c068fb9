package tap

import (
	"errors"
	"net"
)

// MaxFrame is the largest frame that a queue carries, in bytes and without the
// virtio-net header: a 65,535-byte IP packet (TSO leaves larger ones to nobody)
// behind an Ethernet header with one VLAN tag.
const MaxFrame = 65535 + 14 + 4

// Bounds on the number of buffers of one frame.
const (
	MaxReadBufs  = 8
	MaxWriteBufs = 32
)

// Errors of this package, for errors.Is. What a function returns wraps one of
// them, with what was tried and what to do about it.
var (
	// ErrWouldBlock: a read found no frame, or a write no room. Not a failure.
	ErrWouldBlock = errors.New("tap: would block")
	// ErrClosed: the queue or the device was closed on this side.
	ErrClosed = errors.New("tap: closed")
	// ErrTruncated: a frame was longer than the buffers given for it; it is gone.
	ErrTruncated = errors.New("tap: frame longer than its buffers")
	// ErrNoDevice: this machine has no /dev/net/tun.
	ErrNoDevice = errors.New("tap: no TUN/TAP driver")
	// ErrPermission: the process may not create or attach TAP devices (CAP_NET_ADMIN).
	ErrPermission = errors.New("tap: no permission")
	// ErrNameTaken: the name belongs to another kind of device, or its queues are all in use.
	ErrNameTaken = errors.New("tap: name taken")
	// ErrBadName: not a name that an interface can have.
	ErrBadName = errors.New("tap: bad interface name")
	// ErrNoVnetHdr: the driver cannot do IFF_VNET_HDR or the offloads.
	ErrNoVnetHdr = errors.New("tap: no virtio-net header")
	// ErrNoQueue: the device has no further queue to give.
	ErrNoQueue = errors.New("tap: no more queues")
	// ErrDown: the other end takes no frames now (the interface is down), and the
	// frame is lost as on an unplugged cable. Not fatal: it may come up again.
	ErrDown = errors.New("tap: link down, frame lost")
	// ErrGone: the interface was deleted under the queue. Nothing more will come.
	ErrGone = errors.New("tap: interface deleted")
	// ErrFault: memory of a buffer is not there: a mapped file was cut. Nothing was written.
	ErrFault = errors.New("tap: buffer not there")
	// ErrBadFrame: the frame, its virtio-net header or the list of buffers is not
	// acceptable. It concerns this frame only.
	ErrBadFrame = errors.New("tap: bad frame")
)

// A Queue carries Ethernet frames, each behind a virtio-net header of HdrLen
// bytes. One goroutine may read and one may write at a time.
type Queue interface {
	// Readv reads one frame, its virtio-net header first, scattered across bufs
	// in their order, and returns the number of bytes. It never blocks:
	// ErrWouldBlock says that none is there. It keeps no reference to bufs.
	// At most MaxReadBufs of them; empty ones are skipped. A frame longer than
	// all of them is ErrTruncated, and gone.
	Readv(bufs [][]byte) (int, error)
	// Writev writes one frame, its virtio-net header first, gathered from bufs,
	// at most MaxWriteBufs of them. It never blocks: ErrWouldBlock says that
	// nothing was written. ErrDown and ErrBadFrame say that this frame is lost.
	Writev(bufs [][]byte) (int, error)
	// Close detaches the queue. What is on its way in it is lost. It may be called
	// twice, and at any time: a Readv or Writev that runs meanwhile is completed,
	// and any later one returns ErrClosed.
	Close() error
}

// A Device is a TAP device, or something that behaves as one.
type Device interface {
	// Name is the interface's name on the kernel's side.
	Name() string
	// MTU is the largest IP packet that the link takes without segmentation offload.
	MTU() int
	// HardwareAddr is the address of the other end: the kernel's side of the link.
	HardwareAddr() net.HardwareAddr
	// AttachQueue attaches one more queue; the first call gives queue 0. The
	// device steers a flow's frames to the queue on which frames of that flow
	// were last written. ErrNoQueue when the device has no more (one, if it was
	// opened with a single queue).
	AttachQueue() (Queue, error)
	// Ready appends to dst the indices (in order of AttachQueue) of queues that
	// have a frame to read, and returns it. It never blocks. One goroutine may
	// call it at a time.
	Ready(dst []int) []int
	// Wait blocks until a queue may have a frame to read, or the device is
	// closed (ErrClosed). A return without a frame is allowed, a frame without a
	// return is not. One goroutine may wait at a time; it parks in Go's poller
	// and holds no thread.
	Wait() error
	// Close closes the queues too and lets Wait return. It may be called twice.
	Close() error
}

// A Splitter is a Device that several goroutines can serve, each a part of its
// queues.
type Splitter interface {
	Device
	// Split returns another part of the same interface: a Device with queues of its own,
	// none of them attached yet, and its own Ready and Wait. What AttachQueue gives to all parts
	// together is bounded as it was before. The interface is given up when the last part is closed.
	Split() (Device, error)
}
