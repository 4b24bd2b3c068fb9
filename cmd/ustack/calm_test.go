package main

import (
	"runtime"
	"testing"
)

// With one processor occupied and one left, goroutines run, and the collector gets through.
func TestCalmLeavesAProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	c := newCalm(1)
	for range 20 {
		c.join()
		turns := make(chan int)
		go func() {
			for i := range 1000 {
				turns <- i
			}
			close(turns)
		}()
		n := 0
		for range turns {
			n++
		}
		runtime.GC()
		if n != 1000 {
			t.Fatalf("%d turns", n)
		}
		c.leave()
	}
	c.join()
	c.close() // with a connection left
}

func TestCalmClosesWithoutConnections(t *testing.T) {
	newCalm(1).close()
	(*calm)(nil).close()
}

// Who comes when it is about to close does not wait for ever.
func TestCalmLetsWaitersGo(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	c := newCalm(1)
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		c.join()
	}()
	c.close()
	<-joined
	c.leave()
}

// What can't be stopped by a signal would keep the collector waiting.
func TestCalmNeedsSignals(t *testing.T) {
	for godebug, want := range map[string]bool{
		"": true, "gctrace=1,asyncpreemptoff=0": true, "asyncpreemptoff=1": false, "gctrace=1,asyncpreemptoff=1": false,
		"asyncpreemptoff=1,asyncpreemptoff=0": true, "noasyncpreemptoff=1": true,
	} {
		if got := canCalm(godebug); got != want {
			t.Errorf("GODEBUG=%q: %v, want %v", godebug, got, want)
		}
	}
}
