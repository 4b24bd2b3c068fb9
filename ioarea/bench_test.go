package ioarea

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkRing(b *testing.B) {
	for _, n := range []int{64, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("reserve-commit-peek-consume/%d", n), func(b *testing.B) {
			r := newTestRing(b, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				out, err := r.Reserve(n, NoWait)
				if err != nil {
					b.Fatal(err)
				}
				out[0]++
				r.Commit(n)
				_ = r.Peek(n)
				r.Consume(n)
			}
		})
	}
	b.Run("append/64+4096", func(b *testing.B) {
		r := newTestRing(b, 1<<20)
		header, body := make([]byte, 64), make([]byte, 4096)
		b.SetBytes(64 + 4096)
		b.ReportAllocs()
		for b.Loop() {
			if err := r.Append(NoWait, header, body); err != nil {
				b.Fatal(err)
			}
			r.Consume(r.Len())
		}
	})
}

// BenchmarkManyRings goes round the rings of many areas, as a receive thread
// with many connections does.
func BenchmarkManyRings(b *testing.B) {
	for _, areas := range []int{10, 1000} {
		b.Run(fmt.Sprint(areas), func(b *testing.B) {
			p := newTestPool(b, 64<<10, 64<<10, 0)
			all := make([]*Area, areas)
			for i := range all {
				all[i] = mustGet(b, p)
				defer mustPut(b, p, all[i])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a := all[i%areas]
				a.In.Advance(64)
				a.Out.Advance(64)
				a.In.Consume(64)
				a.Out.Consume(64)
			}
		})
	}
}

// BenchmarkPingPong is a round trip between two goroutines: two wakes.
func BenchmarkPingPong(b *testing.B) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
	}{{"forever", Forever}, {"timeout", time.Minute}} {
		b.Run(c.name, func(b *testing.B) {
			a := newTestArea(b, 64<<10)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for a.In.Wait(64, c.timeout) == nil {
					a.In.Consume(64)
					a.Out.Advance(64)
				}
			}()
			b.ReportAllocs()
			for b.Loop() {
				a.In.Advance(64)
				if err := a.Out.Wait(64, c.timeout); err != nil {
					b.Fatal(err)
				}
				a.Out.Consume(64)
			}
			a.In.Close(nil)
			<-done
		})
	}
}

// BenchmarkThroughput streams from one goroutine to another, which looks at one
// byte of each chunk.
func BenchmarkThroughput(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newTestRing(b, 1<<20)
			src := make([]byte, n)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for r.Wait(1, Forever) == nil {
					p := r.Peek(-1)
					_ = p[0]
					r.Consume(len(p))
				}
			}()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Append(Forever, src); err != nil {
					b.Fatal(err)
				}
			}
			r.Close(nil)
			<-done
		})
	}
}

// BenchmarkWake is one side alone: arm a mark and cross it.
func BenchmarkWake(b *testing.B) {
	r := newTestRing(b, 64<<10)
	w := NewWaker(func() {})
	b.ReportAllocs()
	for b.Loop() {
		r.ArmData(r.Start()+1, w)
		r.Advance(1)
		r.Consume(1)
	}
}

func BenchmarkEchoOverKernel(b *testing.B) {
	for _, s := range streams {
		for _, n := range []int{64, 32 << 10} {
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				p := newTestPool(b, 256<<10, 256<<10, 1)
				rd, wr, peer := s.open(b)
				a, err := StartKernel(p, rd, wr, nil)
				if err != nil {
					b.Fatal(err)
				}
				served := make(chan error)
				go func() { served <- Serve(a, echo{1}) }()
				request := make([]byte, n)
				b.SetBytes(int64(2 * n))
				b.ReportAllocs()
				for b.Loop() {
					exchange(b, peer, request)
				}
				peer.Close()
				<-served
				eventually(b, "the area comes back", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					return len(p.free) == 1
				})
			})
		}
	}
}

func BenchmarkPool(b *testing.B) {
	for _, c := range []struct {
		name string
		keep int
		used int
	}{{"pooled", 1, 100}, {"pooled, 256 KiB used", 1, 256 << 10}, {"mapped anew", 0, 100}} {
		b.Run(c.name, func(b *testing.B) {
			p := newTestPool(b, 8<<20, 8<<20, c.keep)
			b.ReportAllocs()
			for b.Loop() {
				a := mustGet(b, p)
				for _, r := range []*Ring{a.In, a.Out} {
					m := r.Tail(0, c.used)
					for i := 0; i < len(m); i += 4096 {
						m[i] = 1
					}
				}
				mustPut(b, p, a)
			}
		})
	}
}

func BenchmarkTrim(b *testing.B) {
	for _, n := range []int{64 << 10, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newTestRing(b, 8<<20)
			var took time.Duration
			for b.Loop() {
				m := r.Tail(r.End(), n)
				for i := 0; i < len(m); i += 4096 {
					m[i] = 1
				}
				begin := time.Now()
				if r.Trim(0) != n {
					b.Fatal("not trimmed")
				}
				took += time.Since(begin)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "trim-ns/op")
		})
	}
}
