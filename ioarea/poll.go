package ioarea

import "time"

// A PollEntry is one area of a Poll, with its own minimum: "don't come back
// until you received *** bytes for individual FILE" (the mail).
type PollEntry struct {
	Area *Area
	// Min is the number of unread bytes to wait for; 0 is ready at once.
	Min int
	// Ready is set by Poll: Min bytes are there, or never will be, and then Err
	// says why, as Ring.Wait would.
	Ready bool
	Err   error
}

// Poll waits until at least one entry is ready, marks all that are, and returns
// their number, or ErrTimeout. The caller is the consumer of each entry's In; an
// area may be in one entry only, for a ring has one mark.
func Poll(entries []PollEntry, timeout time.Duration) (int, error) {
	if n := scan(entries, nil); n > 0 {
		return n, nil
	}
	if timeout == NoWait {
		return 0, ErrTimeout
	}
	// The first ring's own sleeper serves for all. A producer that has claimed a
	// mark may still be about to wake it when Poll is over: the next to sleep on
	// it takes that for a spurious wake.
	w := sleeperOf(entries)
	defer func() {
		for i := range entries {
			entries[i].Area.In.data.disarm()
		}
	}()
	for deadline := deadlineOf(timeout); ; {
		if n := scan(entries, w); n > 0 {
			return n, nil
		}
		if !w.sleep(deadline) {
			if n := scan(entries, nil); n > 0 {
				return n, nil
			}
			return 0, ErrTimeout
		}
	}
}

func sleeperOf(entries []PollEntry) *Waker {
	if len(entries) == 0 {
		return newSleeper()
	}
	return entries[0].Area.In.sleeper()
}

// scan marks and counts the entries that are ready, after it has armed them, if
// there is something to arm.
func scan(entries []PollEntry, w *Waker) (n int) {
	for i := range entries {
		e := &entries[i]
		if w != nil {
			e.Area.In.data.arm(e.Area.In.Start()+uint64(e.Min), w)
		}
		if e.Ready, e.Err = e.Area.In.check(e.Min); e.Ready || e.Err != nil {
			e.Ready = true
			n++
		} else if w != nil {
			e.Area.In.askForMore()
		}
	}
	return n
}
