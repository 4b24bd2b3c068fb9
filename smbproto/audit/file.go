package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxWaiting bounds the lines that wait to be written, bytes: some ten thousand events. As much again
	// may be in the write that is under way.
	MaxWaiting = 4 << 20
	// retryTime is after how long a write that failed is tried again.
	retryTime = time.Second
	// closeTime bounds how long Close waits for the disk.
	closeTime = 5 * time.Second
)

// ErrUnwritten: Close has left lines unwritten.
var ErrUnwritten = errors.New("audit: lines have not been written")

// A File is the writer under a logger. Any goroutine may call its methods; the one that Open starts
// owns the open file.
type File struct {
	log  *slog.Logger
	wake chan struct{} // of one: there is something to do
	done chan struct{} // closed by the writer when it ends
	most int

	mu      sync.Mutex
	waiting []byte
	lost    uint64 // since the last line that says so
	next    output // that Reopen has opened; nil if there is none
	closing bool
	stats   Stats
}

// Stats are counts since the file was opened.
type Stats struct {
	Events uint64 `json:"events"` // that were taken
	Lost   uint64 `json:"lost"`   // that were not
}

// output is an *os.File.
type output = io.WriteCloser

// Open opens a file, or makes it with mode 0600, and begins to append to it. log is told of what goes wrong.
func Open(path string, log *slog.Logger) (*File, error) {
	f, err := openOutput(path, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return start(f, log, MaxWaiting), nil
}

// Check says, without making it, why Open could open no file there; "" is none.
func Check(path string) error {
	if path == "" {
		return nil
	}
	f, err := openOutput(path, 0)
	switch {
	case err == nil:
		return f.Close()
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	dir := filepath.Dir(path) // Open makes it there
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("audit: %w", &os.PathError{Op: "make a file in", Path: dir, Err: err})
	}
	return nil
}

func start(f output, log *slog.Logger, most int) *File {
	a := &File{log: log, wake: make(chan struct{}, 1), done: make(chan struct{}), most: most}
	go a.run(f)
	return a
}

// openOutput refuses what is no file: what is behind a pipe may never be read.
func openOutput(path string, create int) (output, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|create|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}

// Reopen has what comes written to the file of this name, which is made if it is not there. After an error it goes on
// to where it went.
func (a *File) Reopen(path string) error {
	f, err := openOutput(path, os.O_CREATE)
	if err != nil {
		return err
	}
	a.mu.Lock()
	unused := a.next
	a.next = f
	a.mu.Unlock()
	a.stir()
	if unused != nil {
		return unused.Close()
	}
	return nil
}

// Write implements io.Writer for a handler that writes a whole line at a time. It never waits for the disk, and never fails.
func (a *File) Write(line []byte) (int, error) {
	a.mu.Lock()
	full := len(a.waiting)+len(line) > a.most
	if full {
		a.lost++
		a.stats.Lost++
	} else {
		a.waiting = append(a.waiting, line...)
		a.stats.Events++
	}
	a.mu.Unlock()
	if !full {
		a.stir()
	}
	return len(line), nil
}

func (a *File) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Stats returns the counts of now.
func (a *File) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stats
}

// Close waits, for some seconds at most, until all is written. Nothing may be logged any more.
func (a *File) Close() error {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	a.stir()
	select {
	case <-a.done:
	case <-time.After(closeTime):
		return fmt.Errorf("%w: the disk does not take them", ErrUnwritten)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := bytes.Count(a.waiting, newline); n > 0 {
		return fmt.Errorf("%w: %d events", ErrUnwritten, n)
	}
	return nil
}

var newline = []byte{'\n'}

// run writes what waits until Close.
func (a *File) run(f output) {
	defer close(a.done)
	var lines []byte // that are being written
	at := 0          // of them, are
	failed := false
	for {
		if at == len(lines) {
			lines, at = a.take(lines[:0]), 0
		}
		if next := a.takeNext(); next != nil {
			if err := f.Close(); err != nil {
				a.log.Error("audit log: closing the file that was", "err", err)
			}
			// A line that was cut short is whole in the new file.
			f, at = next, bytes.LastIndexByte(lines[:at], '\n')+1
		}
		if at < len(lines) {
			n, err := f.Write(lines[at:])
			at += n
			if err != nil && !failed {
				a.log.Error("audit log: events wait, and are lost when too many do", "err", err)
			}
			failed = err != nil
		}
		switch {
		case failed && a.isLast():
			a.putBack(lines[at:])
			_ = f.Close() // the write has said what is wrong
			return
		case failed:
			a.waitToTryAgain()
		case !a.idle():
		case a.isClosing():
			if err := f.Close(); err != nil {
				a.log.Error("audit log: closing the file", "err", err)
			}
			return
		default:
			<-a.wake
		}
	}
}

// waitToTryAgain waits a while, or for another file, or for Close.
func (a *File) waitToTryAgain() {
	passed := time.After(retryTime)
	for {
		select {
		case <-passed:
			return
		case <-a.wake:
			a.mu.Lock()
			urgent := a.next != nil || a.closing
			a.mu.Unlock()
			if urgent {
				return
			}
		}
	}
}

// take takes over what waits, and puts the line behind it that says what was lost since.
func (a *File) take(buf []byte) []byte {
	a.mu.Lock()
	lines, lost := a.waiting, a.lost
	a.waiting, a.lost = buf, 0
	a.mu.Unlock()
	if lost > 0 {
		a.log.Warn("audit log: events were lost, for the disk does not take them", "events", lost)
		lines = fmt.Appendf(lines, "{\"time\":%q,\"event\":\"lost\",\"events\":%d}\n", time.Now().Format(time.RFC3339Nano), lost)
	}
	return lines
}

func (a *File) takeNext() output {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.next
	a.next = nil
	return f
}

func (a *File) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting) == 0 && a.lost == 0 && a.next == nil
}

// isLast says that there is no other file to try, and nobody who would wait.
func (a *File) isLast() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closing && a.next == nil
}

func (a *File) isClosing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closing
}

// putBack leaves for Close to tell what could not be written.
func (a *File) putBack(lines []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(lines, a.waiting...)
}
