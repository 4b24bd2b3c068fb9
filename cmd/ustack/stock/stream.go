package stock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"

	"ustack/ioarea"
)

const (
	// chunk bounds one read: a ring that is empty begins again at its first page, so
	// that the same pages are written again and again.
	chunk = 256 << 10
	// lingerTime bounds how long a closed stream waits for the peer's end.
	lingerTime = 2 * time.Second
)

// A Stream copies between a gonet connection and an area.
type Stream struct {
	conn    *gonet.TCPConn
	local   net.Addr
	remote  net.Addr
	running sync.WaitGroup

	detached chan struct{} // closed by Detach, with err set before
	err      error

	bytesIn, bytesOut atomic.Uint64
}

// start puts a stream behind an area.
func (s *Stack) start(conn *gonet.TCPConn) (*ioarea.Area, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.conns); n >= s.maxConns {
		return nil, fmt.Errorf("connection table full: %d connections", n)
	}
	a, err := s.pool.Get()
	if err != nil {
		return nil, err
	}
	st := &Stream{conn: conn, local: conn.LocalAddr(), remote: conn.RemoteAddr(), detached: make(chan struct{})}
	a.Bind(st)
	s.conns[st] = struct{}{}
	s.gone.Add(1)
	st.running.Go(func() { st.receive(a.In) })
	st.running.Go(func() { st.send(a.Out) })
	go s.finish(st, a)
	return a, nil
}

// finish ends a stream when handler, receiver and sender have left its area.
func (s *Stack) finish(st *Stream, a *ioarea.Area) {
	defer s.gone.Done()
	<-st.detached
	st.running.Wait()
	_ = st.conn.Close() // nothing is left to fail
	s.mu.Lock()
	s.past.Add(st.Stats())
	delete(s.conns, st)
	s.mu.Unlock()
	_ = s.pool.Put(a) // an area that can't be unmapped stays mapped
}

// receive is In's producer.
func (s *Stream) receive(in *ioarea.Ring) {
	for {
		// Room for one byte is enough to go on.
		if _, err := in.Reserve(1, ioarea.Forever); err != nil {
			s.discard()
			return
		}
		in.Cancel()
		in.Rewind()
		n, err := s.conn.Read(in.Tail(in.End(), min(in.Free(), chunk)))
		s.bytesIn.Add(uint64(n))
		in.Advance(n)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil // the peer has sent all it will
			}
			in.Close(err)
			<-s.detached
			return
		}
	}
}

// discard reads what still comes after the handler has left, until the deadline that
// Detach has set: closing would else reset the connection under the last reply.
func (s *Stream) discard() {
	<-s.detached
	buf := make([]byte, 16<<10)
	for s.err == nil {
		if _, err := s.conn.Read(buf); err != nil {
			return
		}
	}
}

// send is Out's consumer.
func (s *Stream) send(out *ioarea.Ring) {
	for {
		if err := out.Wait(1, ioarea.Forever); err != nil {
			if errors.Is(err, io.EOF) {
				_ = s.conn.CloseWrite() // the peer that has left needs no end
			}
			return
		}
		n, err := s.conn.Write(out.Peek(chunk))
		s.bytesOut.Add(uint64(n))
		out.Consume(n)
		if err != nil {
			out.Refuse(err)
			return
		}
	}
}

// Kind is "stock".
func (s *Stream) Kind() string { return "stock" }

// LocalAddr is the stack's end.
func (s *Stream) LocalAddr() net.Addr { return s.local }

// RemoteAddr is the peer's end.
func (s *Stream) RemoteAddr() net.Addr { return s.remote }

// Stats counts one copy for each byte: that between gVisor's buffers and the ring.
func (s *Stream) Stats() ioarea.Stats {
	in, out := s.bytesIn.Load(), s.bytesOut.Load()
	return ioarea.Stats{BytesIn: in, BytesOut: out, CopiedIn: in, CopiedOut: out}
}

// Detach ends the stream. See ioarea.Stream.
func (s *Stream) Detach(err error) {
	s.err = err
	wait := lingerTime
	if err != nil {
		wait = 0
	}
	until := time.Now().Add(wait)
	_ = s.conn.SetReadDeadline(until)
	if err != nil {
		_ = s.conn.SetWriteDeadline(until)
	}
	close(s.detached)
}
