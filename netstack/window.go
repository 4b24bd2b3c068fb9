package netstack

// firstWindow is the most receive window of a flow that has not shown yet what it
// receives.
const firstWindow = 1 << 20

// setWindow moves the window that the flow is to be advertised to n, unless that is not
// worth it; downwards only a step. A window that was advertised is never taken back (RFC 9293,
// section 3.8.6): the peer is advertised nothing new until it has used up what it has. And
// TCP drops what exceeds its buffer, which is twice the window: what the peer may still send by
// an older window has to fit, with half as much again for what each segment takes beside its
// payload.
func (f *flow) setWindow(n int) {
	s := &f.window
	n = max(n, max(s.n, int(f.advertised.Load()))*3/4)
	if n > s.n-s.n/8 && n < s.n+s.n/8 {
		return
	}
	s.n = n
	f.ep.SocketOptions().SetReceiveBufferSize(int64(2*n), true) // gVisor advertises half
}
