package smbproto

import (
	"testing"

	"pgregory.net/rapid"
)

// The window is a set of ids: what was granted and not taken.
func TestCreditWindowIsASetOfIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, DefaultMaxCredits).Draw(t, "limit")
		w := newCredits(limit)
		model, high := map[uint64]bool{0: true}, uint64(1)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "grant") {
				asked := rapid.IntRange(0, 1000).Draw(t, "asked")
				for range w.grant(asked) {
					model[high] = true
					high++
				}
			} else {
				id := w.low + uint64(rapid.IntRange(0, 20).Draw(t, "ahead"))
				charge := rapid.IntRange(0, 20).Draw(t, "charge")
				ok := true
				for i := id; i < id+uint64(max(charge, 1)); i++ {
					ok = ok && model[i]
				}
				if err := w.take(id, charge); (err == nil) != ok {
					t.Fatalf("take %d, charge %d: %v, want it to be possible: %v", id, charge, err, ok)
				}
				for i := id; ok && i < id+uint64(max(charge, 1)); i++ {
					delete(model, i)
				}
			}
			if w.unused != len(model) || w.unused > limit || w.high != high || w.high-w.low > windowSpan {
				t.Fatalf("window [%d, %d) has %d, want %d up to %d", w.low, w.high, w.unused, len(model), high)
			}
			if w.unused == 0 && w.grant(0) != 1 {
				t.Fatal("a client without credits gets none")
			} else if w.unused == 1 && len(model) == 0 {
				model[high] = true
				high++
			}
		}
	})
}
