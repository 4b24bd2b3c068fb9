package netstack

import "time"

const (
	// trimTo is how many bytes an idle ring keeps.
	trimTo = 16 << 10
	// trimStep is how many bytes are given back at once: the loop stands still
	// meanwhile, for some tenths of a millisecond.
	trimStep = 1 << 20
	// trimShare is the part of its time, one in so many, that a busy loop spends on it.
	trimShare = 20
)

// A trimmer has the in rings of idle connections give their pages back. That is work
// for a loop that has nothing else to do, and takes little from one that has. The
// loop's own.
type trimmer struct {
	idle  []*flow   // as the last sweep found them
	after time.Time // when a busy loop may take the next step
}

// find takes note of the rings that are idle now.
func (t *trimmer) find(flows map[flowKey]*flow, now time.Time) {
	clear(t.idle)
	t.idle = t.idle[:0]
	for _, f := range flows {
		if f.isIdle(now) {
			t.idle = append(t.idle, f)
		}
	}
}

// step gives some pages of one ring back, and reports whether there were any.
func (t *trimmer) step(now time.Time) bool {
	for n := len(t.idle); n > 0; n = len(t.idle) {
		f, freed, keep := t.idle[n-1], 0, trimTo
		if f.isIdle(now) {
			keep = max(trimTo, f.area.In.Touched()-trimStep)
			freed = f.area.In.Trim(keep)
		}
		if freed == 0 || keep == trimTo { // once: the next frame may be aimed at it again
			t.idle[n-1] = nil
			t.idle = t.idle[:n-1]
		}
		if freed > 0 {
			return true
		}
	}
	return false
}

// stepWhenBusy is step, if its time has come.
func (t *trimmer) stepWhenBusy(now time.Time) bool {
	if len(t.idle) == 0 || now.Before(t.after) {
		return false
	}
	begin := time.Now()
	done := t.step(now)
	t.after = now.Add(trimShare * time.Since(begin))
	return done
}

// isIdle reports whether In could give pages back, as far as its producer knows:
// nothing came for a while, and nothing lies in place beyond what is shown.
func (f *flow) isIdle(now time.Time) bool {
	if f.area == nil {
		return false // released
	}
	in := f.area.In
	return f.nxt <= in.End() && now.Sub(f.window.last) > sweepEvery && in.Trimmable(trimTo)
}
