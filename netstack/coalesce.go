package netstack

import "time"

// A loop that polls has each frame of bulk as soon as it is there, while its payload is still
// in the near caches of the processor that wrote it. Where that is another one, each line is
// fetched from there, and taken back when the sender's kernel writes to the page again, some
// hundred kilobytes later: the sender's copy takes up to three times as long (docs/results.md).
// So behind frames of bulk the queue is left alone for a moment, in which some more gather:
// what interrupt coalescing does for a network card, for another reason.
//
// A peer that waits for a reply before it sends on is kept waiting by that, and from here the
// two look alike. So both are tried by turns, and what has carried more is kept for a while.

const (
	// coalesceFrom is the least that a pass reads, in bytes of frames, to be left alone behind.
	coalesceFrom = 32 << 10
	// Of whom nothing was read for coalescePause, beyond that, does not stream.
	coalescePause = 5 * time.Millisecond
	// A window is so many bytes of frames: it takes a stream some megabytes to gain by what gathers,
	// and more where it was slow before. Once coalesceFirst windows have come without a pause, the
	// queue is read at once in one, left alone in the next, and read at once in the third. To leave it
	// alone has to be faster by a 32nd. What was better is kept for coalesceKeep windows, and for twice as many
	// each time that it is better again, up to coalesceLong.
	coalesceWindow = 16 << 20
	coalesceFirst  = 1
	coalesceTrial  = 3
	coalesceKeep   = 16
	coalesceLong   = 256
	coalesceGain   = 1 + 1.0/32
	// coalesceMost is the longest time that can be asked for: a peer's bulk, and whoever shares
	// the queue with it, waits for it.
	coalesceMost = 10 * time.Millisecond
)

// A coalescer decides how long a queue is left alone after it was read. The loop's own.
type coalescer struct {
	most  time.Duration // how long from when a pass began; 0 and less: never
	until time.Time     // it is left alone

	on    bool // in this window
	left  int  // windows before the trial, but this; below 0: of the trial, the first is -1
	keep  int  // windows from trial to trial
	kept  bool // what was better in the last one
	bytes int  // of the window
	began time.Time
	last  time.Time  // when something was read
	took  [2]float64 // seconds by byte in the trial: read at once, twice; left alone
	alone int        // times that the queue was left alone in the trial
	held  bool       // it was, before the next pass
}

func newCoalescer(most time.Duration) coalescer {
	return coalescer{most: most, left: coalesceFirst - 1, keep: coalesceKeep / 2}
}

// defers reports whether the queue is left alone at now.
func (c *coalescer) defers(now time.Time) bool { return now.Before(c.until) }

// pause says that nothing streams, or that nobody polls, as of now. A trial that it falls into has
// found nothing: who pauses each time before its end is to be tried ever more rarely too.
func (c *coalescer) pause(now time.Time) {
	switch {
	case c.left < 0:
		c.keepOn(false)
	case c.on:
		c.on, c.left = false, coalesceFirst-1
	}
	c.until, c.held = time.Time{}, false
	c.bytes, c.began = 0, now
}

// read says that a pass which began at now has read frames of so many bytes, up to the last one
// that there was if all. Each byte counts for the window in which it was read and handled.
func (c *coalescer) read(now time.Time, bytes int, all bool) {
	if bytes == 0 || c.most <= 0 {
		return
	}
	c.until = time.Time{}
	if c.held {
		c.held = false
		c.alone++
	}
	if now.Sub(c.last) > coalescePause+c.most {
		c.pause(now)
	}
	c.last = now
	if c.bytes >= coalesceWindow {
		c.next(now)
	}
	c.bytes += bytes
	if c.on && all && bytes >= coalesceFrom {
		c.until = now.Add(c.most)
	}
}

// next ends a window.
func (c *coalescer) next(now time.Time) {
	if c.left < 0 {
		i := 0
		if c.on {
			i = 1
		}
		c.took[i] += now.Sub(c.began).Seconds() / float64(c.bytes)
	}
	switch c.left--; {
	case c.left >= 0:
	case c.left >= -coalesceTrial:
		if c.left == -1 {
			c.took, c.alone = [2]float64{}, 0
		}
		c.on = c.left%2 == 0
	default:
		c.keepOn(c.alone > 0 && c.took[1]*coalesceGain < c.took[0]/2)
	}
	c.bytes, c.began = 0, now
}

// keepOn ends a trial.
func (c *coalescer) keepOn(on bool) {
	if c.on, c.keep = on, min(2*c.keep, coalesceLong); on != c.kept {
		c.keep, c.kept = coalesceKeep, on
	}
	c.left = c.keep - 1
}
