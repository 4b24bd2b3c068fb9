package wire

import "time"

// The times of SMB1's older calls. This server's time zone is UTC, and so says its negotiation: a client
// that reckons with the server's local time (MS-CIFS 2.2.4.52.2) needs no other.

// DOSTime is a date and a time in a word each, MS-CIFS 2.2.1.4: in steps of two seconds from 1980 on. 0 is none.
type DOSTime struct{ Date, Clock uint16 }

// DOSTimeOf converts; what DOS has no date for gives 0.
func DOSTimeOf(f Filetime) DOSTime {
	t := f.Time()
	if f == 0 || t.Year() < 1980 || t.Year() > 2107 {
		return DOSTime{}
	}
	return DOSTime{
		uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()),
		uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2),
	}
}

// Filetime converts back; 0 if it is none.
func (d DOSTime) Filetime() Filetime {
	if d.Date == 0 && d.Clock == 0 || d.Date == 0xFFFF && d.Clock == 0xFFFF {
		return 0
	}
	month, day := int(d.Date>>5&15), int(d.Date&31)
	if month < 1 || month > 12 || day < 1 {
		return 0
	}
	t := time.Date(int(d.Date>>9)+1980, time.Month(month), day, int(d.Clock>>11), int(d.Clock>>5&63), int(d.Clock&31)*2, 0, time.UTC)
	return FiletimeOf(t)
}

// ReadDOSTime reads a date and then a time.
func ReadDOSTime(b []byte) DOSTime { return DOSTime{le.Uint16(b), le.Uint16(b[2:])} }

// Put writes the date, then the time.
func (d DOSTime) Put(b []byte) {
	le.PutUint16(b, d.Date)
	le.PutUint16(b[2:], d.Clock)
}

// UTime is seconds since 1970, MS-CIFS 2.2.1.4.3. 0 and 0xFFFFFFFF are none.
type UTime uint32

// UTimeOf converts.
func UTimeOf(f Filetime) UTime {
	sec, _ := f.Unix()
	if f == 0 || sec < 0 || sec > 1<<32-1 {
		return 0
	}
	return UTime(sec)
}

// Filetime converts back; 0 if it is none.
func (u UTime) Filetime() Filetime {
	if u == 0 || u == 1<<32-1 {
		return 0
	}
	return FiletimeUnix(int64(u), 0)
}

// SMB1 are the attributes that the older calls of SMB1 know, MS-CIFS 2.2.1.2.4. There is none for a file that has none.
func (a Attributes) SMB1() Attributes {
	return a & (AttributeReadOnly | AttributeHidden | AttributeSystem | AttributeDirectory | AttributeArchive)
}
