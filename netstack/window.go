package netstack

// firstWindow is the most receive window of a flow that has not shown yet what it
// receives.
const firstWindow = 1 << 20

// setWindow moves the window that the flow is to be advertised to n, unless that is not
// worth it.
//
// Downwards it goes a step at a time. A window that was advertised is never taken back
// (RFC 9293, section 3.8.6): the peer is advertised nothing new until it has used up what it has,
// and that still finds room in TCP's buffer, which is twice the window, beside what TCP holds, and with half as
// much again for what each segment takes beside its payload. TCP drops what exceeds its
// buffer: did what it holds behind a gap come to exceed it, it would drop what fills the gap, for ever.
func (f *flow) setWindow(n int) {
	s := &f.window
	if n < s.n {
		held, ok := f.l.endpoints.held(f.ep)
		if !ok || !f.scaled {
			return
		}
		n = min(s.n, max(n, max(s.n, int(f.advertised.Load()))*3/4+held/2))
	}
	if n > s.n-s.n/8 && n < s.n+s.n/8 {
		return
	}
	s.n = n
	f.ep.SocketOptions().SetReceiveBufferSize(int64(2*n), true) // gVisor advertises half
}
