package main

import (
	"testing"

	"ustack/ioarea"
)

// A late contestant counts its last reply after some samples.
type late struct {
	contestant
	samples, after int
}

func (l *late) sample() (s snapshot, err error) {
	s.Total = ioarea.Stats{BytesIn: 128, BytesOut: 64}
	if l.samples++; l.samples > l.after {
		s.Total.BytesOut = 128
	}
	return s, nil
}

func TestAStretchBeginsWhenTheServerHasCountedAllBeforeIt(t *testing.T) {
	l := &late{after: 3}
	s, samples, err := sampleWhen(t.Context(), l, answered)
	if err != nil || s.Total.BytesOut != 128 || l.samples != 4 || samples != 4 {
		t.Errorf("%+v after %d samples, told as %d, %v", s.Total, l.samples, samples, err)
	}
}

func TestAServerMustCountWhatItsClientHas(t *testing.T) {
	of := func(in, out uint64) snapshot { return snapshot{Total: ioarea.Stats{BytesIn: in, BytesOut: out}} }
	s := &stretch{before: of(10, 10), load: loadResult{Sent: 5, Received: 6}}
	for _, c := range []struct {
		service string
		now     snapshot
		ok      bool
	}{
		{"echo", of(15, 16), true}, {"echo", of(15, 15), false}, {"echo", of(15, 17), false},
		{"smb", of(15, 17), true}, {"smb", of(14, 17), false},
	} {
		if err := s.counted(c.service, c.now); (err == nil) != c.ok {
			t.Errorf("%s, %+v: %v", c.service, c.now.Total, err)
		}
	}
	if err := answered(of(1, 2)); err == nil {
		t.Errorf("%v", err)
	}
}
