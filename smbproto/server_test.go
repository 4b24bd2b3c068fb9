package smbproto

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ustack/ioarea"
	"ustack/smbproto/auth"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// testUsers knows alice, whose password is "secret", and bob, whose is "hidden".
type testUsers struct{}

func (testUsers) Lookup(name string) ([16]byte, bool) {
	switch strings.ToLower(name) {
	case "alice":
		return auth.NTHash("secret"), true
	case "bob":
		return auth.NTHash("hidden"), true
	}
	return [16]byte{}, false
}

// testServer serves a temporary directory as "pub" and, read-only, as "ro".
type testServer struct {
	*Server
	dir  string
	addr string
	pool *ioarea.Pool

	ln   net.Listener
	wg   sync.WaitGroup
	mu   sync.Mutex
	open map[net.Conn]bool
	errs []error
}

type logTo struct{ t *testing.T }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func testConfig(dir string) Config {
	return Config{
		Auth:   auth.Config{Users: testUsers{}, Guest: true, ServerName: "FILES"},
		Shares: []Share{{Name: "pub", Path: dir, Comment: "files"}, {Name: "ro", Path: dir, ReadOnly: true}},
	}
}

func startServer(t *testing.T, change func(*Config)) *testServer {
	t.Helper()
	ts := &testServer{dir: t.TempDir(), open: map[net.Conn]bool{}}
	cfg := testConfig(ts.dir)
	if os.Getenv("SMB_TEST_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(logTo{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ts.Server = srv
	in, out := srv.RingSize()
	if ts.pool, err = ioarea.NewPool(4*in, 4*out, 4); err != nil {
		t.Fatal(err)
	}
	if ts.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ts.addr = ts.ln.Addr().String()
	ts.wg.Add(1)
	go ts.accept()
	t.Cleanup(func() { ts.stop(t) })
	return ts
}

func (ts *testServer) accept() {
	defer ts.wg.Done()
	for {
		conn, err := ts.ln.Accept()
		if err != nil {
			return
		}
		ts.mu.Lock()
		ts.open[conn] = true
		ts.mu.Unlock()
		tcp := conn.(*net.TCPConn)
		ts.wg.Add(2)
		a, err := ioarea.StartKernel(ts.pool, tcp, tcp, func(error) { ts.wg.Done() })
		if err != nil {
			panic(err)
		}
		go func() {
			defer ts.wg.Done()
			err := ts.Serve(a)
			ts.mu.Lock()
			defer ts.mu.Unlock()
			delete(ts.open, conn)
			ts.errs = append(ts.errs, err)
		}()
	}
}

func (ts *testServer) stop(t *testing.T) {
	ts.ln.Close()
	ts.mu.Lock()
	for c := range ts.open {
		c.Close()
	}
	ts.mu.Unlock()
	ts.wg.Wait()
	st := ts.Stats()
	if st.Connections != 0 || st.Sessions != 0 || st.Trees != 0 || st.Opens != 0 || len(ts.files.files) != 0 || ts.budget.Open() != 0 {
		t.Errorf("left when all connections are closed: %+v, %d files, %d of them open", st, len(ts.files.files), ts.budget.Open())
	}
	if err := ts.Close(); err != nil {
		t.Error(err)
	}
	if err := ts.pool.Close(); err != nil {
		t.Error(err)
	}
}

// port of the server.
func (ts *testServer) port() string {
	_, port, _ := net.SplitHostPort(ts.addr)
	return port
}

func TestShareNamesAreUTF8(t *testing.T) {
	if _, err := NewServer(Config{Shares: []Share{{Name: "\xe9\xe9", Path: t.TempDir()}}}); !errors.Is(err, ErrConfig) {
		t.Errorf("%v, want it refused", err)
	}
}
