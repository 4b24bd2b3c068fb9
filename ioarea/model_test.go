package ioarea

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// A model is a ring as anyone would write it who has never heard of one.
type model struct {
	unread   []byte
	reserved []byte // what was written into the reservations, in their order
	closed   bool
	cause    error
	refused  error
}

func (m *model) free(size int) int { return size - len(m.unread) - len(m.reserved) }

// wait is what Ring.Wait with NoWait ought to say.
func (m *model) wait(n int) error {
	switch {
	case len(m.unread) >= n:
		return nil
	case !m.closed:
		return ErrTimeout
	case m.cause != nil:
		return m.cause
	case len(m.unread) > 0:
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

func (m *model) reserve(n, size int) error {
	switch {
	case n+len(m.reserved) > size:
		return ErrTooLong
	case m.refused != nil:
		return m.refused
	case n > m.free(size):
		return ErrTimeout
	}
	return nil
}

func TestRingBehavesAsItsModel(t *testing.T) {
	pool := newTestPool(t, MinRing, MinRing, 1)
	cause := errors.New("cause")
	rapid.Check(t, func(t *rapid.T) {
		area, err := pool.Get()
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Put(area)
		r, m := area.Out, new(model)
		size := r.Cap()
		var shown []byte // what Peek showed last, less what was consumed
		length := rapid.OneOf(rapid.IntRange(0, size+1), rapid.IntRange(0, 64), rapid.IntRange(size-2, size))
		salt := byte(0)
		write := func(b []byte) {
			salt++
			for i := range b {
				b[i] = byte(i) ^ salt
			}
			m.reserved = append(m.reserved, b...)
		}
		commit := func(n int) {
			m.unread = append(m.unread, m.reserved[:n]...)
			m.reserved = m.reserved[n:]
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				n := length.Draw(t, "n")
				b, err := r.Reserve(n, NoWait)
				if want := m.reserve(n, size); !errors.Is(err, want) {
					t.Fatalf("Reserve(%d): %v, want %v", n, err, want)
				}
				if err == nil && len(b) != n {
					t.Fatalf("Reserve(%d) gave %d bytes", n, len(b))
				}
				write(b)
			},
			"commit": func(t *rapid.T) {
				n := rapid.IntRange(0, len(m.reserved)).Draw(t, "n")
				r.Commit(n)
				commit(n)
			},
			"cancel": func(*rapid.T) {
				r.Cancel()
				m.reserved = nil
			},
			"append": func(t *rapid.T) {
				header := bytes.Repeat([]byte{0xAA}, rapid.IntRange(0, 100).Draw(t, "header"))
				body := bytes.Repeat([]byte{0xBB}, length.Draw(t, "body"))
				if len(m.reserved) > 0 {
					t.Skip("something is reserved before it")
				}
				n := len(header) + len(body)
				err := r.Append(NoWait, header, body)
				if want := m.reserve(n, size); !errors.Is(err, want) {
					t.Fatalf("Append of %d: %v, want %v", n, err, want)
				}
				if err == nil {
					m.reserved = append(append(m.reserved, header...), body...)
					commit(n)
				}
			},
			"peek": func(t *rapid.T) {
				n := length.Draw(t, "n")
				shown = r.Peek(n)
				if !bytes.Equal(shown, m.unread[:min(n, len(m.unread))]) {
					t.Fatalf("Peek(%d) of %d shows other bytes", n, len(m.unread))
				}
			},
			"consume": func(t *rapid.T) {
				n := rapid.IntRange(0, len(m.unread)).Draw(t, "n")
				r.Consume(n)
				m.unread = m.unread[n:]
				shown = shown[min(n, len(shown)):]
			},
			"wait": func(t *rapid.T) {
				n := rapid.IntRange(0, size).Draw(t, "n")
				if got, want := r.Wait(n, NoWait), m.wait(n); got != want {
					t.Fatalf("Wait(%d): %v, want %v", n, got, want)
				}
			},
			"rewind": func(t *rapid.T) {
				if got, want := r.Rewind(), len(m.unread)+len(m.reserved) == 0; got != want {
					t.Fatalf("Rewind: %v", got)
				}
			},
			"trim": func(t *rapid.T) {
				n := r.Trim(length.Draw(t, "keep"))
				if n != 0 && len(m.unread)+len(m.reserved) != 0 {
					t.Fatal("Trim took pages of a ring in use")
				}
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "luck") > 0 {
					t.Skip("not yet")
				}
				err := rapid.SampledFrom([]error{nil, cause}).Draw(t, "error")
				r.Close(err)
				if !m.closed {
					m.closed, m.cause = true, err
				}
			},
			"refuse": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "luck") > 0 {
					t.Skip("not yet")
				}
				r.Refuse(cause)
				m.refused = cause
			},
			"": func(t *rapid.T) {
				if r.Len() != len(m.unread) || r.Free() != m.free(size) {
					t.Fatalf("%d to read and %d free, want %d and %d", r.Len(), r.Free(), len(m.unread), m.free(size))
				}
				if !bytes.Equal(shown, m.unread[:len(shown)]) {
					t.Fatal("shown bytes have changed")
				}
				if ended, err := r.Ended(); ended != m.closed || err != m.cause {
					t.Fatalf("Ended: %v, %v", ended, err)
				}
				if r.Refused() != m.refused {
					t.Fatalf("Refused: %v", r.Refused())
				}
			},
		})
	})
}
