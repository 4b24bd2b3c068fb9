package main

import (
	"runtime"
	"testing"
	"time"
)

// With one processor occupied and one left, goroutines run, and the collector gets through.
func TestCalmLeavesAProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	c := newCalm()
	for range 20 {
		c.add(1)
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
		c.add(-1)
	}
	c.add(1)
	c.close() // with a connection left
}

func TestCalmClosesWithoutConnections(t *testing.T) {
	newCalm().close()
	(*calm)(nil).close()
}

// It goes on only while the process has something to do: what it does it costs.
func TestCalmRestsWithTheProcess(t *testing.T) {
	c := &calm{}
	now := time.Now()
	c.looked, c.used, c.busy = now, processTime()-time.Hour, false
	if c.look(now.Add(calmTurn / 2)); c.busy {
		t.Error("it looks more than once in a turn")
	}
	if c.look(now.Add(2 * time.Hour)); !c.busy {
		t.Error("half a processor is not much")
	}
	if c.look(now.Add(4 * time.Hour)); c.busy {
		t.Error("nothing is much")
	}
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
