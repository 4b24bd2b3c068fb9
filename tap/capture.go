package tap

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A Captured device writes down the frames of the device below.
type Captured struct {
	Device
	now func() time.Time

	mu     sync.Mutex // guards what follows
	writer *pcapgo.NgWriter
	frame  []byte // the frame being written, in one piece
	err    error  // the first one; nothing is written after it
	queues uint32
}

// Capture wraps dev, which belongs to the wrapper from then on, and writes all frames
// that are read and written to w, as a pcapng file: with direction and queue, without
// virtio-net headers. A GSO frame appears as the one large packet that it is, and a
// checksum left to the device as the sum of the pseudo-header, as in any capture
// on a sender.
//
// It is buffered: the file is complete after Flush or Close. w is not closed.
// An error of w does not disturb the frames; it is returned by Flush and Close.
func Capture(dev Device, w io.Writer) *Captured {
	c := &Captured{Device: dev, now: time.Now}
	c.writer, c.err = pcapgo.NewNgWriterInterface(w, pcapgo.NgInterface{
		Name:                dev.Name(),
		LinkType:            layers.LinkTypeEthernet,
		TimestampResolution: 9,
	}, pcapgo.DefaultNgWriterOptions)
	return c
}

// AttachQueue attaches a queue whose frames are captured.
func (c *Captured) AttachQueue() (Queue, error) {
	q, err := c.Device.AttachQueue()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queues++
	return &capturedQueue{Queue: q, dev: c, index: c.queues - 1}, nil
}

// Flush brings all that was captured so far to the writer.
func (c *Captured) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = c.writer.Flush()
	}
	if c.err != nil {
		return fmt.Errorf("tap: capture: %w", c.err)
	}
	return nil
}

// Close closes the device below and completes the file.
func (c *Captured) Close() error {
	err := c.Device.Close()
	if ferr := c.Flush(); err == nil {
		err = ferr
	}
	return err
}

// Stats returns the counts of the device below.
func (c *Captured) Stats() Stats { return statsOf(c.Device) }

// record writes down the first n bytes of bufs.
func (c *Captured) record(bufs [][]byte, n int, queue uint32, direction pcapgo.NgEpbFlag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || n <= HdrLen {
		return
	}
	c.frame = c.frame[:0]
	for _, b := range bufs {
		c.frame = append(c.frame, b[:min(len(b), n-len(c.frame))]...)
	}
	f := c.frame[HdrLen:]
	c.err = c.writer.WritePacketWithOptions(
		gopacket.CaptureInfo{Timestamp: c.now(), CaptureLength: len(f), Length: len(f)}, f,
		pcapgo.NgPacketOptions{Queue: &queue, Flags: &pcapgo.NgEpbFlags{Direction: direction}})
}

// A capturedQueue is a queue of a Captured device.
type capturedQueue struct {
	Queue
	dev   *Captured
	index uint32
}

func (q *capturedQueue) Readv(bufs [][]byte) (int, error) {
	n, err := q.Queue.Readv(bufs)
	if err == nil {
		q.dev.record(bufs, n, q.index, pcapgo.NgEpbFlagDirectionInbound)
	}
	return n, err
}

func (q *capturedQueue) Writev(bufs [][]byte) (int, error) {
	n, err := q.Queue.Writev(bufs)
	if err == nil {
		q.dev.record(bufs, n, q.index, pcapgo.NgEpbFlagDirectionOutbound)
	}
	return n, err
}

// Stats returns the counts of the queue below.
func (q *capturedQueue) Stats() Stats { return statsOf(q.Queue) }
