package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scrape asks for metrics at a TCP address or at a Unix socket.
func scrape(t *testing.T, at string) string {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(at, "/") {
		network = "unix"
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at)
	}}}
	r, err := c.Get("http://server/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v: %s", r.Status, err, text)
	}
	return string(text)
}

// metric is a metric's value in a scrape, or -1.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMetricsTellWhatAServerDid(t *testing.T) {
	dir := t.TempDir()
	addUser(t, filepath.Join(dir, "users"), "alice", "secret")
	unix := filepath.Join(t.TempDir(), "metrics")
	socket, _ := started(t, kernelServer("smb", "--share", "pub="+dir, "--user-file", filepath.Join(dir, "users"), "--metrics", "127.0.0.1:0")...)
	port := portOf(t, socket)
	served, err := readSnapshot(socket)
	if err != nil {
		t.Fatal(err)
	}
	tcp := served.Metrics
	started(t, kernelServer("echo", "--metrics", unix)...)
	if st, err := os.Stat(unix); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the socket: %v, %v", st.Mode(), err)
	}

	s, err := dial(t, port, "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Logoff()
	fs, err := s.Mount("pub")
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile("file", make([]byte, 10000), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile("file"); err != nil || len(b) != 10000 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := dial(t, port, "mallory"); err == nil {
		t.Fatal("mallory was let in")
	}
	text := scrape(t, tcp)
	for name, want := range map[string]float64{
		`ustack_info{service="smb",stack="kernel"}`: 1,
		`ustack_smb_sessions`:                       1,
		`ustack_smb_trees`:                          1,
		`ustack_smb_read_bytes_total`:               10000,
		`ustack_smb_written_bytes_total`:            10000,
		`ustack_smb_log_ons_refused_total`:          1,
		`ustack_smb_answers_total{command="SESSION_SETUP",status="STATUS_LOGON_FAILURE"}`: 1,
		`ustack_smb_answers_total{command="SESSION_SETUP",status="STATUS_SUCCESS"}`:       1,
		`ustack_smb_answers_total{command="TREE_CONNECT",status="STATUS_SUCCESS"}`:        1,
		`ustack_smb_request_seconds_count{command="TREE_CONNECT"}`:                        1,
		`ustack_smb_request_seconds_bucket{command="TREE_CONNECT",le="+Inf"}`:             1,
		`ustack_copied_bytes_total{way="out"}`:                                            0,
		`ustack_smb_files`:                                                                0,
		`ustack_audit_events_total{outcome="taken"}`:                                      -1, // there is no audit log
		`ustack_frames_total{way="in"}`:                                                   -1, // nor a device
	} {
		if got := metric(t, text, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if n := metric(t, text, `ustack_smb_request_seconds_count{command="READ"}`); n < 1 {
		t.Errorf("%v READs were timed", n)
	}
	if n := metric(t, text, "ustack_smb_files_max"); n < 1 {
		t.Errorf("%v files may be open", n)
	}
	if text := scrape(t, unix); metric(t, text, `ustack_info{service="echo",stack="kernel"}`) != 1 || metric(t, text, "ustack_smb_sessions") != -1 {
		t.Errorf("of a service that is not SMB: %s", text)
	}
}

// Who asks for metrics and does not go on takes few descriptors: others wait until one goes.
func TestMetricsTakeFewConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics")
	m, err := listenMetrics(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.serve(slog.New(slog.DiscardHandler), func() snapshot { return snapshot{} })
	var idle []net.Conn
	for range metricsConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("answered beside %d others: %q, %v", len(idle), b, err)
	}
	idle[0].Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "HTTP" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAnAddressOfMetricsThatIsTakenIsToldBeforeAnythingIsUp(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	control := filepath.Join(t.TempDir(), "control")
	out, err := program(t.Context(), kernelServer("echo", "--metrics", taken.Addr().String(), "--control", control)...).CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "ustack: metrics: ") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Lstat(control); err == nil {
		t.Error("the control socket is left behind")
	}
}

func TestMetricsAreToldAtTheAddressOfTheDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "a TAP device needs root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		cannot(t, "no TUN/TAP driver: "+err.Error())
	}
	socket, _ := started(t, "serve", "echo", "--tap", fmt.Sprintf("m%d", os.Getpid()),
		"--addr", "198.18.78.2/24", "--host-addr", "198.18.78.1/24", "--metrics", "198.18.78.1:0")
	s, err := readSnapshot(socket)
	if err != nil {
		t.Fatal(err)
	}
	if text := scrape(t, s.Metrics); metric(t, text, `ustack_info{service="echo",stack="netstack"}`) != 1 {
		t.Error(text)
	}
}

// Each SIGHUP checks the address again, and other settings must not depend on a name server, nor a SIGTERM wait for one.
func TestNoNameServerIsAskedForTheAddressOfMetrics(t *testing.T) {
	if err := checkMetrics("--metrics", "nosuchhost.invalid:9100"); err != nil {
		t.Error(err)
	}
}
