package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// matches is the slow and obvious way to say what Pattern.Match does.
func matches(p, s []rune, lastDot int, at int) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	any := len(s) > 0
	dot := any && s[0] == '.'
	one := func() bool { return matches(p[1:], s[1:], lastDot, at+1) }
	none := func() bool { return matches(p[1:], s, lastDot, at) }
	switch p[0] {
	case '*':
		return none() || any && matches(p, s[1:], lastDot, at+1)
	case '<':
		return none() || any && at == lastDot && one() || any && at != lastDot && matches(p, s[1:], lastDot, at+1)
	case '?':
		return any && one()
	case '>':
		return any && !dot && one() || (!any || dot) && none()
	case '"':
		return dot && one() || !any && none()
	}
	return any && fold(p[0]) == fold(s[0]) && one()
}

func TestPatternIsWhatTheSlowWaySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune(`aAb.*?<>"`)), 0, 8, -1).Draw(t, "pattern")
		name := rapid.StringOfN(rapid.SampledFrom([]rune("aAb.")), 0, 8, -1).Draw(t, "name")
		want := pattern == ""
		if !want {
			lastDot := -1
			for i, r := range []rune(name) {
				if r == '.' {
					lastDot = i
				}
			}
			want = matches([]rune(pattern), []rune(name), lastDot, 0)
		}
		if got := NewPattern(pattern).Match(name); got != want {
			t.Errorf("pattern %q, name %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// Stars without end must not cost time without end.
func TestPatternTimeIsBounded(t *testing.T) {
	var pattern, name []byte
	for range 120 {
		pattern = append(pattern, "*a"...)
		name = append(name, "a"...)
	}
	name = append(name, 'b')
	if NewPattern(string(pattern)).Match(string(name)) {
		t.Error("matched")
	}
}

func TestUTF16IsWhatTheLibrarySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		var want []byte
		for _, u := range utf16.Encode([]rune(s)) {
			want = le.AppendUint16(want, u)
		}
		got := make([]byte, UTF16Len(s))
		if n := PutUTF16(got, s); n != len(got) || string(got) != string(want) {
			t.Fatalf("% x, want % x", got, want)
		}
		if back, err := UTF16ToString(got); err != nil || back != s {
			t.Fatalf("%q, %v", back, err)
		}
	})
}

func TestFiletime(t *testing.T) {
	for want, when := range map[Filetime]time.Time{
		0:                  {},
		116444736000000000: time.Unix(0, 0),
		1:                  time.Date(1601, 1, 1, 0, 0, 0, 100, time.UTC),
		126227808010000000: time.Date(2001, 1, 1, 0, 0, 1, 0, time.UTC),
	} {
		if got := FiletimeOf(when); got != want {
			t.Errorf("%v: %d, want %d", when, got, want)
		}
		if !when.IsZero() && !want.Time().Equal(when) {
			t.Errorf("%d: %v, want %v", want, want.Time(), when)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := Filetime(rapid.Uint64Range(1, 1<<63-1-filetimeUnix).Draw(t, "filetime"))
		if back := FiletimeUnix(f.Unix()); back != f {
			t.Errorf("%d comes back as %d", f, back)
		}
	})
}

func TestStatusOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Status
	}{
		{nil, StatusOK},
		{syscall.ENOSPC, StatusDiskFull},
		{syscall.EMLINK, StatusTooManyLinks},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, StatusObjectNameNotFound},
		{fmt.Errorf("wrapped: %w", StatusCannotDelete), StatusCannotDelete},
		{syscall.Errno(9999), StatusUnexpectedIOError},
		{io.EOF, StatusEndOfFile},
		{os.ErrExist, StatusObjectNameCollision},
		{malformed("x"), StatusInvalidParameter},
		{errors.New("?"), StatusUnsuccessful},
	} {
		if got := StatusOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
	for errno, s := range errnoStatus {
		if _, named := statusNames[s]; !named || !s.IsError() {
			t.Errorf("%v becomes %v", errno, s)
		}
	}
}

// A list can be walked by its offsets, and a name that does not fit is not there in part.
func TestDirectoryEntriesAreLinked(t *testing.T) {
	names := []string{"a", "a longer name", "ü", "x.y"}
	for class := range FileInfoClass(64) {
		if !class.IsDirectoryClass() {
			continue
		}
		fixed, nameLen := class.entryFixed()
		for size := range 600 {
			buf := make([]byte, size)
			w := NewDirWriter(buf, class)
			put := 0
			for put < len(names) && w.Put(names[put], &FileInfo{EndOfFile: 7, FileIndex: 9}) {
				put++
			}
			if w.Count() != put || w.Len() > size {
				t.Fatalf("class %d in %d bytes: %d entries, %d bytes", class, size, w.Count(), w.Len())
			}
			rest := buf[:w.Len()]
			for i := range put {
				n := int(le.Uint32(rest[nameLen:]))
				if name, err := UTF16ToString(rest[fixed : fixed+n]); err != nil || name != names[i] {
					t.Fatalf("class %d: entry %d is %q, %v", class, i, name, err)
				}
				next := le.Uint32(rest)
				if (next == 0) != (i == put-1) || next%8 != 0 {
					t.Fatalf("class %d: entry %d links to %d", class, i, next)
				}
				rest = rest[next:]
			}
		}
	}
}

// A list of streams can be walked by its offsets, and has whole streams only.
func TestStreamsAreLinked(t *testing.T) {
	streams := []StreamInfo{{DefaultStream, 1, 512}, {":a:$DATA", 2, 512}, {":ünïcode:$DATA", 3, 512}}
	for size := range 200 {
		buf := make([]byte, size)
		n, status := PutStreams(buf, streams)
		if size < 32 {
			if n != 0 || status != StatusInfoLengthMismatch {
				t.Errorf("%d bytes: %d, %v", size, n, status)
			}
			continue
		}
		rest, i := buf[:n], 0
		for len(rest) > 0 {
			name, err := UTF16ToString(rest[24 : 24+le.Uint32(rest[4:])])
			if err != nil || name != streams[i].Name || le.Uint64(rest[8:]) != streams[i].Size {
				t.Fatalf("%d bytes: stream %d is %q, %v", size, i, name, err)
			}
			i++
			next := le.Uint32(rest)
			if next%8 != 0 {
				t.Fatalf("%d bytes: next at %d", size, next)
			}
			if next == 0 {
				break
			}
			rest = rest[next:]
		}
		if whole := i == len(streams); whole != (status == StatusOK) || !whole && status != StatusBufferOverflow {
			t.Errorf("%d bytes: %d streams, %v", size, i, status)
		}
	}
}

// The name of the root is empty where it is normalized.
func TestNormalizedName(t *testing.T) {
	for name, want := range map[string]string{`\`: "", `\a\b`: `a\b`} {
		b := make([]byte, 100)
		n, status := PutFileInfo(b, FileNormalizedNameInformation, &FileInfo{Name: name})
		if got, err := UTF16ToString(b[4:n]); status != StatusOK || got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, status)
		}
	}
}
