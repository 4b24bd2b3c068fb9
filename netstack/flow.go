package netstack

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"ustack/ioarea"
	"ustack/tap"
)

const (
	// keepaliveIdle is how long a connection is silent before the peer is asked
	// whether it is there (RFC 9293, section 3.8.4).
	keepaliveIdle = time.Minute
	// drainTime is how long a connection that the handler has closed waits for the
	// peer to take the rest of Out, or drainLeast bytes of it, after which it waits
	// again: so a slow peer gets all, and one that holds the rings for nothing does
	// not hold them for long.
	drainTime  = 60 * time.Second
	drainLeast = 64 << 10
	// lingerTime bounds how long it then waits for the peer to close its side,
	// before what still comes is answered by a reset.
	lingerTime = 2 * time.Second
)

// event bits of a flow, set by any goroutine and taken by the loop.
const (
	evIn      = 1 << iota // the endpoint has something to read, or its end
	evSpace               // the endpoint takes more to send
	evOut                 // the handler has committed something, or closed Out
	evRoom                // the handler has consumed, or waits for more
	evAcked               // the peer has acknowledged something that was lent
	evDetach              // the handler is done
	evLinger              // lingerTime is over
	evStopped             // the stack closes: reset it, unless the handler is done
	evKilled              // reset it
)

// A flow is one TCP connection: a gVisor endpoint, the area in front of it, and
// what placement knows of it. It is the area's ioarea.Stream. Unless a field
// says otherwise it is the loop's own.
type flow struct {
	l        *loop
	ep       tcpip.Endpoint
	endpoint stack.TransportEndpoint // ep, where its segments may go to it directly (gather.go)
	id       stack.TransportEndpointID
	family   tcpip.NetworkProtocolNumber
	wq       *waiter.Queue
	ent      waiter.Entry
	key      flowKey
	area     *ioarea.Area
	view     ringView // of In; empty where payload is always copied

	local, remote *net.TCPAddr // never change

	// Placement. Stream offset o has sequence number irs+1+o.
	placing   bool   // irs is known, and the ring can take a frame
	irs       uint32 //
	nxt       uint64 // offset that follows the last segment seen in order: the next one's place
	headerLen int    // of its last segment that carried payload
	missed    int    // payload bytes in order that had to be copied since it was given its queue
	queue     *queue // frames of the flow are written to it, so that its frames come by it
	own       bool   // no other flow has this queue
	leader    leader // of its small segments

	// What may be on its way (budget.go).
	window     share // inward, as the peer is advertised it
	flight     share // outward
	mostFlight int   // whatever the share

	// ACK filter.
	ackSent    uint32 // last acknowledgement that was given to a batch
	ackTold    uint32 // last one that went out, or was given to a batch with what can't wait
	wndTold    uint32 // the window that went with ackTold
	ackPending int    // number of a pure ACK in batch ackBatch that may be overtaken, or -1
	ackBatch   uint64
	ackValue   uint32 // what it acknowledges
	ackFills   bool   // it came after one that told of a gap
	ackGap     bool   // the last pure ACK told of a gap, or was a duplicate
	wndScale   uint8
	scaled     bool // wndScale is known

	// Receiving and sending.
	in  inWriter
	out outPayload
	mss int // of segments that go out, once one has

	// Lending (lend.go).
	lending     bool   // Out is sent from where it lies
	trains      bool   // what is lent may leave in frames of more than 64 KiB
	iss         uint32 // offset o of what we send has sequence number iss+1+o
	haveSent    bool   // sentTo is known
	sentTo      uint32 // sequence number behind all that was sent
	handed      uint64 // offset up to which Out was handed to TCP
	ackedTo     uint64 // offset up to which the peer has acknowledged, as far as we saw
	settleTries int
	settling    *time.Timer
	room        *ioarea.Waker
	outWaker    *ioarea.Waker
	inOver      bool // In is closed: end of stream, error, or the handler left
	outOver     bool // nothing more can be, or is to be, sent
	aborted     bool
	stopping    bool // the stack closes
	detached    bool
	linger      *time.Timer // bounds what follows Detach
	lingerFrom  uint64      // what the peer had taken when it was set
	outTaken    bool        // it runs for lingerTime now

	events    atomic.Uint32
	detachErr atomic.Pointer[detachReason]

	// Counters, read by anyone.
	bytesIn, bytesOut, copiedIn, copiedOut atomic.Uint64
	inPlace, moved                         atomic.Uint64 // bytes that TCP gave us in place; those of them that we had copied there
	advertised                             atomic.Uint32 // window, last

	mu    sync.Mutex // guards what follows against Stats: rings are given away at the end
	rings *ioarea.Area
	last  ioarea.Stats // what TCP said then
}

type detachReason struct{ err error }

var errNotTaken = errors.New("netstack: the peer did not take what was sent")

// newFlow puts an area in front of an established endpoint. The loop calls it.
func (l *loop) newFlow(ep tcpip.Endpoint, wq *waiter.Queue, local, remote netip.AddrPort) (*flow, error) {
	if l.refusing != nil {
		return nil, l.refusing
	}
	if n, held := l.conns.len(), l.held(); n+held >= l.maxConns {
		return nil, fmt.Errorf("%w: %d connections, and the rings of %d that have ended", ErrTableFull, n, held)
	}
	pa, err := l.areas.get()
	if err != nil {
		return nil, err
	}
	// A peer that has vanished is found out also while nobody has anything to say.
	ep.SocketOptions().SetKeepAlive(true)
	idle := tcpip.KeepaliveIdleOption(keepaliveIdle)
	if err := ep.SetSockOpt(&idle); err != nil {
		l.log.Warn("keepalive", "peer", remote, "err", err)
	}
	if !l.hyStart {
		l.endpoints.keepSlowStart(ep)
	}
	// The ACK that tells the peer's initial number may be queued yet, and what an
	// earlier connection between the same ports has sent again.
	l.collect()
	f := &flow{
		l: l, ep: ep, wq: wq, area: pa.area, rings: pa.area, view: pa.view,
		key:    keyOf(local, remote),
		family: family(remote.Addr()),
		id: stack.TransportEndpointID{
			LocalPort: local.Port(), LocalAddress: address(local.Addr()),
			RemotePort: remote.Port(), RemoteAddress: address(remote.Addr()),
		},
		local:      net.TCPAddrFromAddrPort(local),
		remote:     net.TCPAddrFromAddrPort(remote),
		queue:      l.queues[0],
		ackPending: -1,
		leader:     leader{credit: leadCredit},
		window:     share{n: min(l.windows.full, firstWindow)},
		flight:     share{n: l.flights.full},
		mostFlight: l.flights.full,
	}
	if n := l.endpoints.maxPayload(ep); n > 0 && n < smallSegment {
		f.mostFlight = l.flights.full / smallSegment * n
		ep.SocketOptions().SetSendBufferSize(int64(2*f.mostFlight), true) // TCP says when half of it is free
	}
	f.window.set = f.setWindow
	f.in.f = f
	f.room = ioarea.NewWaker(func() { f.notify(evRoom) })
	f.outWaker = ioarea.NewWaker(func() { f.notify(evOut) })
	iss, issKnown := l.endpoints.iss(ep)
	if hs, ok := l.handshakes.take(f.key); ok && (!issKnown || hs.iss == iss) {
		f.irs = hs.irs
		f.wndScale, f.scaled = hs.wndScale, true
		f.placing = f.view.whole != nil && f.area.In.Cap() >= 2*tap.MaxFrame
	}
	byLink := l.byLink(remote.Addr())
	if byLink {
		f.endpoint, _ = ep.(stack.TransportEndpoint)
	}
	if byLink && l.lend {
		f.iss, f.lending = iss, issKnown
		f.trains = f.lending && l.trainMax > 0 && remote.Addr().Unmap().Is4()
		if f.lending && l.mapped {
			f.area.Out.TakeLoans()
		}
	}
	f.area.Bind(f)
	l.expectNone(f.key) // the handler of that one may not have let go yet
	l.flows[f.key] = f
	l.conns.add(f)
	f.ent = waiter.NewFunctionEntry(waiter.ReadableEvents|waiter.WritableEvents|waiter.EventHUp|waiter.EventErr, func(m waiter.EventMask) {
		// The endpoint's lock is held here: only signal.
		ev := uint32(0)
		if m&(waiter.ReadableEvents|waiter.EventHUp|waiter.EventErr) != 0 {
			ev |= evIn
		}
		if m&(waiter.WritableEvents|waiter.EventHUp|waiter.EventErr) != 0 {
			ev |= evSpace
		}
		f.notify(ev)
	})
	wq.EventRegister(&f.ent)
	f.notify(evIn | evOut) // what came before, and the first arming of Out
	return f, nil
}

// notify tells the loop that something is to be done for the flow.
func (f *flow) notify(events uint32) {
	if f.events.Or(events) == 0 {
		f.l.schedule(f)
	}
}

// run does what was notified. The loop calls it.
func (f *flow) run() {
	ev := f.events.Swap(0)
	if f.ep == nil {
		return // released; a late timer or waker
	}
	if ev&evDetach != 0 {
		f.detached = true
		if r := f.detachErr.Load(); r != nil && r.err != nil {
			f.abort(r.err)
			return
		}
	}
	if ev&evStopped != 0 {
		f.stopping = true
	}
	if ev&evKilled != 0 || f.stopping && !f.detached {
		f.abort(f.l.refusing)
		return
	}
	if ev&(evIn|evRoom|evDetach) != 0 {
		f.receive()
	}
	if ev&(evOut|evSpace|evAcked|evDetach|evLinger) != 0 {
		f.send()
		f.awaitSettled()
	}
	if f.detached {
		f.finish(ev&evLinger != 0)
	}
}

// finish closes the endpoint once the handler is gone, the peer has acknowledged
// all of Out, and has closed too or had its time.
func (f *flow) finish(late bool) {
	done := f.outOver && f.unacked() == 0
	switch {
	case done && (f.inOver || f.stopping):
		f.release()
		return
	case late && !done && f.taken() >= f.lingerFrom+drainLeast:
		f.lingerFrom = f.taken()
		f.linger.Reset(drainTime)
		return
	case late && !done:
		f.abort(errNotTaken) // an end in order would make a part look like the whole
		return
	case late:
		f.release()
		return
	}
	if f.linger == nil {
		f.lingerFrom = f.taken()
		f.linger = time.AfterFunc(drainTime, func() { f.notify(evLinger) })
	}
	if done && !f.outTaken && f.linger.Stop() {
		f.outTaken = true // once: a peer that goes on sending gets no more time
		f.linger.Reset(lingerTime)
	}
}

// abort resets the connection. The handler hears of it by its rings.
func (f *flow) abort(err error) {
	if !f.aborted {
		f.aborted = true
		f.ep.Abort()
	}
	f.endIn(err)
	f.endOut(err)
	if f.detached {
		f.release()
	}
}

// release gives up the endpoint, the queue and the area. The handler is gone.
func (f *flow) release() {
	for _, t := range []*time.Timer{f.linger, f.settling} {
		if t != nil {
			t.Stop()
		}
	}
	f.wq.EventUnregister(&f.ent)
	f.ep.Close() // a second Close is none
	if !f.inOver && f.view.held() {
		// Behind a gap that the peer has left open. TCP keeps such segments until a
		// FIN comes, or a reset: it would keep the ring for ever.
		f.ep.Abort()
	}
	f.l.orphans.add(f.ep)
	// What TCP has queued of this flow must know that it is gone: lent payload is
	// nowhere then.
	f.l.collect()
	f.endStats()
	f.l.forget(f)
	f.ep = nil
	f.window.gone, f.flight.gone = true, true
	f.l.areas.put(placedArea{f.area, f.view})
	f.area, f.view = nil, ringView{}
}

// Kind is "netstack".
func (f *flow) Kind() string { return "netstack" }

// LocalAddr implements ioarea.Stream.
func (f *flow) LocalAddr() net.Addr { return f.local }

// RemoteAddr implements ioarea.Stream.
func (f *flow) RemoteAddr() net.Addr { return f.remote }

// Detach implements ioarea.Stream.
func (f *flow) Detach(err error) {
	f.detachErr.Store(&detachReason{err})
	f.notify(evDetach)
}

// endStats has Stats tell from now on what it would tell now, without what only a connection
// that there is has: the rings will be another's, and the endpoint is TCP's alone.
func (f *flow) endStats() {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats()
	f.last = ioarea.Stats{Retransmits: s.Retransmits, Congested: s.Congested}
	f.rings = nil
}

// Stats implements ioarea.Stream.
func (f *flow) Stats() ioarea.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats()
}

// stats is Stats, with mu held.
func (f *flow) stats() ioarea.Stats {
	s := ioarea.Stats{
		BytesIn: f.bytesIn.Load(), BytesOut: f.bytesOut.Load(),
		CopiedIn: f.copiedIn.Load(), CopiedOut: f.copiedOut.Load(),
		Window: int(f.advertised.Load()),
	}
	if moved, inPlace := f.moved.Load(), f.inPlace.Load(); inPlace > moved {
		s.PlacedIn = inPlace - moved // what was moved and then refused by TCP makes it less
	}
	if f.rings == nil {
		s.Retransmits, s.Congested = f.last.Retransmits, f.last.Congested
		return s
	}
	s.RingIn, s.RingOut, s.Unacked = f.rings.In.Len(), f.rings.Out.Len(), f.unacked()
	addTCPStats(f.ep, &s)
	return s
}

// addTCPStats adds what gVisor knows.
func addTCPStats(ep tcpip.Endpoint, s *ioarea.Stats) {
	if st, ok := ep.Stats().(*tcp.Stats); ok {
		s.Retransmits = st.SendErrors.Retransmits.Value()
	}
	var info tcpip.TCPInfoOption
	if ep.GetSockOpt(&info) == nil {
		s.RTT, s.Cwnd = info.RTT, int(info.SndCwnd)
	}
	var cc tcpip.CongestionControlOption
	if ep.GetSockOpt(&cc) == nil {
		s.Congested = string(cc)
	}
}

func (f *flow) String() string { return fmt.Sprintf("%v <- %v", f.local, f.remote) }
