package main

import (
	"runtime"
	"testing"
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
	c.close() // with a reason left
}

func TestCalmClosesWithoutReasons(t *testing.T) {
	newCalm().close()
	(*calm)(nil).close()
}
