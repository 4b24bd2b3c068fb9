package wire

import "time"

// Filetime counts 100 ns from 1601-01-01 UTC, MS-FSCC 2.1.1. As a time to set, 0
// means "leave it", and -1 and -2 "stop and start updating it" (MS-FSCC 2.4.7).
type Filetime uint64

// filetimeUnix is 1970-01-01 as a Filetime.
const filetimeUnix = 116444736000000000

// FiletimeOf converts; a time before 1601 or after 30828 gives 0.
func FiletimeOf(t time.Time) Filetime {
	if t.IsZero() {
		return 0
	}
	return FiletimeUnix(t.Unix(), int64(t.Nanosecond()))
}

// FiletimeUnix converts what stat gives.
func FiletimeUnix(sec, nsec int64) Filetime {
	const limit = (1<<63 - 1 - filetimeUnix) / 10_000_000
	if sec < -filetimeUnix/10_000_000 || sec >= limit {
		return 0
	}
	return Filetime(sec*10_000_000 + nsec/100 + filetimeUnix)
}

// Sets reports whether the value, in a request to set times, names a time.
func (f Filetime) Sets() bool { return f != 0 && int64(f) > 0 }

// Valid reports whether the value may stand in a request to set times (MS-FSA 2.1.5.15.2).
func (f Filetime) Valid() bool { return int64(f) >= -2 }

// Stops and Restarts report whether the value asks that changes through this open do not
// update the time any more, or do again.
func (f Filetime) Stops() bool    { return int64(f) == -1 }
func (f Filetime) Restarts() bool { return int64(f) == -2 }

// Unix gives seconds and nanoseconds since 1970.
func (f Filetime) Unix() (sec, nsec int64) {
	d := int64(f) - filetimeUnix
	sec, rest := d/10_000_000, d%10_000_000
	if rest < 0 {
		sec, rest = sec-1, rest+10_000_000
	}
	return sec, rest * 100
}

// Time converts.
func (f Filetime) Time() time.Time {
	sec, nsec := f.Unix()
	return time.Unix(sec, nsec).UTC()
}
