package ioarea

import (
	"io"
	"testing"
	"time"
)

func TestNothingIsAllocatedForAByte(t *testing.T) {
	a := newTestArea(t, 64<<10)
	r := a.In
	header, body := make([]byte, 64), make([]byte, 1000)
	waker := NewWaker(func() {})
	entries := []PollEntry{{Area: a, Min: 1}}
	for name, f := range map[string]func(){
		"reserve, commit, peek, consume": func() {
			b, _ := r.Reserve(1000, Forever)
			b[0] = 1
			r.Commit(1000)
			_ = r.Peek(1000)[0]
			r.Consume(1000)
		},
		"append": func() {
			_ = r.Append(Forever, header, body)
			r.Consume(r.Len())
		},
		"place and advance": func() {
			r.Rewind()
			r.Tail(r.End(), 100)[0] = 1
			r.Advance(100)
			r.Consume(100)
		},
		"arm": func() {
			r.ArmData(r.Start()+1, waker)
			r.Advance(1)
			r.ArmRoom(r.Cap(), waker)
			r.Consume(1)
		},
		"wait and time out": func() { _ = r.Wait(1, time.Microsecond) },
		"wait without":      func() { _ = r.Wait(1, NoWait) },
		"poll":              func() { _, _ = Poll(entries, NoWait) },
		"poll and time out": func() { _, _ = Poll(entries, time.Microsecond) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestNothingIsAllocatedForAWake(t *testing.T) {
	a := newTestArea(t, 64<<10)
	go func() {
		for a.In.Wait(1, Forever) == nil {
			a.In.Consume(a.In.Len())
			a.Out.Advance(1)
		}
		a.Out.Close(nil)
	}()
	if n := testing.AllocsPerRun(1000, func() {
		a.In.Advance(1)
		_ = a.Out.Wait(1, Forever)
		a.Out.Consume(1)
	}); n != 0 {
		t.Errorf("%v allocations for a round of two wakes", n)
	}
	a.In.Close(nil)
	if err := a.Out.Wait(1, Forever); err != io.EOF {
		t.Error(err)
	}
}

func TestNothingIsAllocatedForARequest(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			p := newTestPool(t, 64<<10, 64<<10, 1)
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			go Serve(a, echo{1})
			request := make([]byte, 4000)
			exchange(t, peer, request)
			n := testing.AllocsPerRun(500, func() { exchange(t, peer, request) })
			if n != 0 {
				t.Errorf("%v allocations for a request", n)
			}
			peer.Close()
			<-ended
		})
	}
}

func exchange(t testing.TB, p peer, request []byte) {
	if _, err := p.Write(request); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < len(request); {
		n, err := p.Read(request[got:])
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
}
