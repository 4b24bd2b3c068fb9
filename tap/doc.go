// Package tap carries Ethernet frames between this process and the kernel: through
// a TAP device, or through the same interface in memory.
//
// A frame travels behind a virtio-net header ([Hdr]), so that one frame can be up to 64
// KiB of TCP data, cut to segments by nobody, and its checksum be left to the other side.
//
//   - [Open] gives a TAP device of the kernel, with one queue or several.
//   - [NewPair] gives both ends of a link in memory; it needs no rights.
//   - [Impair] and [Capture] wrap any [Device]: the one loses, delays, reorders,
//     cuts and corrupts frames, the other writes them to a pcapng file.
//
// A server that answers all frames, in short:
//
//	dev, err := tap.Open(tap.Config{Name: "ustack0", HostAddrs: addrs, Up: true})
//	...
//	q, err := dev.AttachQueue()
//	...
//	buf := make([]byte, tap.HdrLen+tap.MaxFrame)
//	for dev.Wait() == nil {
//		n, err := q.Readv([][]byte{buf})
//		if err == nil {
//			handle(buf[:tap.HdrLen], buf[tap.HdrLen:n]) // and q.Writev
//		}
//	}
//
// # Memory
//
// Buffers are the caller's. Readv and Writev keep no reference to them after they
// have returned, so a frame may be written from, and read into, any memory, a ring's too.
// A read may change any byte of its buffers, also those behind the frame's end.
// The paths of a frame (Readv, Writev, Ready, Wait) of devices and pairs allocate nothing,
// but for errors that are not expected; wrappers copy.
//
// # Goroutines
//
// For each queue one goroutine may read and one may write at a time, and for each
// device one may be in Wait and one in Ready. Everything else may be called by
// anyone at any time. Close in particular: a call under way on the same queue is
// completed, with the descriptor still its own; the descriptor is closed by whoever leaves last.
// Nothing blocks but Wait, and Wait holds no thread: system calls on queues are
// made without telling the Go scheduler, because none takes longer than the copy
// of a frame.
//
// # Queues of a TAP device
//
// The first queue is attached by Open, the others by AttachQueue; each stays until
// it or its device is closed, and cannot then be attached again. A flow's frames
// arrive on the queue on which frames of that flow were last written. For the kernel a flow is a
// hash of addresses and ports; it forgets it some seconds after the last write
// (TUN_FLOW_EXPIRE, 3 s), and then spreads by the hash alone, so a frame
// of a known flow may arrive on any queue.
//
// Virtio-net headers and offloads belong to the interface, not to the queue: of several
// queues the first decides about headers, and offloads stay as they were last set, also
// when all queues of a persistent interface are closed. Open sets both, and fails
// with [ErrNoVnetHdr] where another program's queue stands against it.
//
// While the interface is down, writes are [ErrDown], which loses the frame, and
// reads find nothing; up again, all goes on. When it is deleted, Wait returns, and
// reads and writes are [ErrGone].
package tap
