package ioarea

import (
	"net"
	"sync/atomic"
	"time"
)

// An Area is the IO area of one stream: what the mail calls struct _IO_area.
type Area struct {
	// In carries what the peer sent: the stream fills it, the handler consumes it.
	In *Ring
	// Out carries what the handler answers: it reserves and commits, the stream
	// sends.
	Out *Ring

	stream Stream
	done   atomic.Bool
}

// A Stream is what stands behind an area: a TCP connection of a user-space
// stack, a kernel socket, a pipe.
type Stream interface {
	// Kind names the stack that carries the stream: "netstack", "kernel".
	Kind() string
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	// Stats may be called at any time, from any goroutine.
	Stats() Stats
	// Detach is called once, when the handler is done with the area: what Out
	// holds is sent and the stream closed, or, with an error, reset at once.
	Detach(err error)
}

// Stats are what a stream has counted since it began. What a stack cannot know
// is zero.
type Stats struct {
	BytesIn  uint64 `json:"bytes_in"`  // payload bytes that reached In
	BytesOut uint64 `json:"bytes_out"` // payload bytes taken from Out

	// PlacedIn is the part of BytesIn that the device wrote to its final place
	// in the ring; CopiedIn and CopiedOut count each byte once for each time
	// that user space copied it.
	PlacedIn  uint64 `json:"placed_in"`
	CopiedIn  uint64 `json:"copied_in"`
	CopiedOut uint64 `json:"copied_out"`

	Syscalls    uint64 `json:"syscalls"`    // of this stream alone, where each stream makes its own
	Retransmits uint64 `json:"retransmits"` // segments sent again

	RingIn    int           `json:"ring_in"`    // unread bytes in In
	RingOut   int           `json:"ring_out"`   // bytes in Out that the stream has not taken
	Unacked   int           `json:"unacked"`    // of BytesOut, those that the peer has not acknowledged
	Window    int           `json:"window"`     // receive window last advertised, bytes
	Cwnd      int           `json:"cwnd"`       // congestion window, segments
	RTT       time.Duration `json:"rtt_ns"`     // smoothed round-trip time
	Congested string        `json:"congestion"` // congestion control in force
}

// Add adds another stream's counters; what only one stream has stays as it is.
func (s *Stats) Add(o Stats) {
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
	s.PlacedIn += o.PlacedIn
	s.CopiedIn += o.CopiedIn
	s.CopiedOut += o.CopiedOut
	s.Syscalls += o.Syscalls
	s.Retransmits += o.Retransmits
}

// Bind puts a stream behind an area fresh from a Pool.
func (a *Area) Bind(s Stream) { a.stream = s }

// Stream returns what stands behind the area.
func (a *Area) Stream() Stream { return a.stream }

// Close is the handler's last act: what it has committed is still sent, and
// then the stream is closed. What is left in In is discarded.
func (a *Area) Close() { a.detach(nil) }

// Abort is Close without ceremony: the stream is reset, and what was committed
// may be lost. err is kept as the reason.
func (a *Area) Abort(err error) {
	if err == nil {
		err = ErrClosed
	}
	a.detach(err)
}

func (a *Area) detach(err error) {
	if !a.done.CompareAndSwap(false, true) {
		return
	}
	a.Out.Cancel()
	a.Out.Close(err)
	a.In.Refuse(err)
	if a.stream != nil {
		a.stream.Detach(err)
	}
}
