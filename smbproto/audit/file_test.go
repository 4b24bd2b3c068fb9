package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A disk is a file whose writes a test lets through, one at a time, and may cut short.
type disk struct {
	asked chan int // how much a write is of
	takes chan int // how much of it is taken; less fails
	mu    sync.Mutex
	text  bytes.Buffer
}

func newDisk() *disk { return &disk{asked: make(chan int), takes: make(chan int)} }

func (d *disk) Write(p []byte) (int, error) {
	d.asked <- len(p)
	n := min(<-d.takes, len(p))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text.Write(p[:n])
	if n < len(p) {
		return n, errors.New("disk full")
	}
	return n, nil
}

func (d *disk) Close() error { return nil }

// let lets one write through, of which so much is taken.
func (d *disk) let(most int) {
	<-d.asked
	d.takes <- most
}

func (d *disk) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Split(strings.TrimSuffix(d.text.String(), "\n"), "\n")
}

func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func TestWhatADiskDoesNotTakeIsCounted(t *testing.T) {
	var log bytes.Buffer
	d := newDisk()
	a := start(d, logTo(&log), 300)
	events := NewLogger(a)
	events.Info("first")
	n := <-d.asked // and stays there, while ten more come
	for i := range 10 {
		events.Info("more", "n", i)
	}
	st := a.Stats()
	if st.Lost == 0 || st.Events+st.Lost != 11 {
		t.Fatalf("%+v", st)
	}
	d.takes <- n
	d.let(1 << 20)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	lines := d.lines()
	if len(lines) != int(st.Events)+1 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i, line := range lines {
		var e struct {
			Event  string
			N      int
			Events uint64
			Time   string
			Level  *string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time == "" || e.Level != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case i == 0 && e.Event == "first":
		case i == len(lines)-1 && e.Event == "lost" && e.Events == st.Lost:
		case i > 0 && e.Event == "more" && e.N == i-1:
		default:
			t.Errorf("line %d: %s", i, line)
		}
	}
	if !strings.Contains(log.String(), fmt.Sprintf("events=%d", st.Lost)) {
		t.Errorf("the log: %s", log.String())
	}
}

func TestAWriteThatFailsIsContinued(t *testing.T) {
	var log bytes.Buffer
	d := newDisk()
	a := start(d, logTo(&log), MaxWaiting)
	fmt.Fprintln(a, "one line")
	d.let(3)
	d.let(2) // a second later
	d.let(100)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := d.lines(); len(lines) != 1 || lines[0] != "one line" {
		t.Errorf("%q", lines)
	}
	if n := strings.Count(log.String(), "disk full"); n != 1 {
		t.Errorf("the log tells %d times: %s", n, log.String())
	}
}

func TestALineThatWasCutIsWholeInTheNextFile(t *testing.T) {
	var log bytes.Buffer
	d := newDisk()
	a := start(d, logTo(&log), MaxWaiting)
	fmt.Fprintln(a, "one")
	<-d.asked
	fmt.Fprintln(a, "two")
	fmt.Fprintln(a, "three")
	d.takes <- 4
	d.let(6) // "two", and "th"
	path := filepath.Join(t.TempDir(), "next")
	if err := a.Reopen(path); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "three\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAFileIsAppendedToAndReopened(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "audit")
	for i := range 2 {
		a, err := Open(path, logTo(&log))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(a, "run", i)
		if i == 1 {
			if err := a.Reopen(filepath.Join(path, "none")); err == nil {
				t.Error("a file below a file was opened")
			}
			fmt.Fprintln(a, "goes on")
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "run 0\nrun 1\ngoes on\n" {
		t.Errorf("%q, %v", b, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if _, err := Open(t.TempDir(), logTo(&log)); err == nil {
		t.Error("a directory was opened")
	}
}

func TestCheckSaysWhatOpenWillSayAndMakesNothing(t *testing.T) {
	dir := t.TempDir()
	file, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "dangling")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink("later", dangling)); err != nil {
		t.Fatal(err)
	}
	if err := Check(""); err != nil {
		t.Errorf("no file: %v", err)
	}
	for _, path := range []string{
		file, filepath.Join(dir, "new"), dangling, dir, filepath.Join(dir, "none", "new"), filepath.Join(file, "new"), "/dev/null",
	} {
		before, _ := os.Lstat(path)
		said := Check(path)
		if after, _ := os.Lstat(path); (before == nil) != (after == nil) {
			t.Errorf("%s: Check has made it", path)
		}
		f, err := Open(path, slog.New(slog.DiscardHandler))
		if (err == nil) != (said == nil) || err != nil && !strings.HasPrefix(said.Error(), "audit: ") {
			t.Errorf("%s: Check says %v, Open %v", path, said, err)
		}
		if err == nil {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCloseTellsWhatIsUnwritten(t *testing.T) {
	var log bytes.Buffer
	d := newDisk()
	a := start(d, logTo(&log), MaxWaiting)
	fmt.Fprintln(a, "one")
	fmt.Fprintln(a, "two")
	closed := make(chan error)
	go func() { closed <- a.Close() }()
	for {
		select {
		case <-d.asked:
			d.takes <- 0
		case err := <-closed:
			if !errors.Is(err, ErrUnwritten) || !strings.Contains(err.Error(), "2 events") {
				t.Error(err)
			}
			return
		}
	}
}
