package netstack

import "testing"

// If it fails, lending is off, and all that goes out is copied.
func TestClaimsHoldWithTheGVisorWeHave(t *testing.T) {
	if err := findClaims(); err != nil {
		t.Error(err)
	}
}
