package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// loaded runs a load against a server on loopback, and returns what it printed and what
// the server has counted, once that is as much.
func loaded(t *testing.T, server, load []string) (loadResult, snapshot) {
	t.Helper()
	socket, _ := started(t, kernelServer(server[0], server[1:]...)...)
	port := portOf(t, socket)
	cmd := program(t.Context(), append(append([]string{"load"}, load...), "--to", "127.0.0.1:"+port, "--json")...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(withStderr(err))
	}
	var r loadResult
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(10 * time.Second); ; <-again.C {
		s, err := readSnapshot(socket)
		if err != nil {
			t.Fatal(err)
		}
		if s.Total.BytesIn >= r.Sent && s.Total.BytesOut >= r.Received || time.Now().After(until) {
			return r, s
		}
	}
}

func TestServersCountWhatLoadsCarry(t *testing.T) {
	for _, c := range []struct {
		name         string
		server, load []string
	}{
		{"push", []string{"sink"}, []string{"push", "--for", "50ms", "--flows", "2"}},
		{"pull", []string{"source", "--until-closed", "--fill"}, []string{"pull", "--for", "50ms", "--flows", "2"}},
		{"ping", []string{"echo"}, []string{"ping", "--for", "50ms", "--flows", "2", "--size", "1000"}},
		{"open", []string{"echo"}, []string{"open", "--for", "50ms", "--flows", "3", "--rate", "2000"}},
		{"connect", []string{"echo"}, []string{"connect", "--for", "50ms", "--flows", "2"}},
		{"many", []string{"echo"}, []string{"many", "--for", "50ms", "--flows", "20", "--active", "3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, s := loaded(t, c.server, c.load)
			if r.Sent+r.Received == 0 || r.Seconds <= 0 || r.Congestion != "cubic" || r.Conns == 0 {
				t.Errorf("load: %+v", r)
			}
			if s.Total.BytesIn != r.Sent || s.Total.BytesOut != r.Received {
				t.Errorf("the server has counted %d in and %d out, the load %d and %d", s.Total.BytesIn, s.Total.BytesOut, r.Sent, r.Received)
			}
			if c.server[0] == "echo" && (r.Requests == 0 || r.All < r.Requests || r.P50us <= 0 || r.P99us < r.P50us) {
				t.Errorf("requests: %+v", r)
			}
			if s.Process.RSS == 0 || s.Process.Voluntary == 0 || s.Process.Allocs == 0 {
				t.Errorf("the server says of its process: %+v", s.Process)
			}
		})
	}
}

func TestAnSMBLoadRuns(t *testing.T) {
	for _, what := range []string{"put", "get", "read", "meta"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			r, s := loaded(t, []string{"smb", "--share", "compare=" + dir},
				[]string{"smb", what, "--size", "1MiB", "--block", "64KiB", "--depth", "4", "--warm", "256KiB", "--for", "50ms"})
			if r.Requests == 0 || r.All <= r.Requests || r.P50us <= 0 {
				t.Errorf("load: %+v", r)
			}
			if s.Total.BytesIn < r.Sent || s.Total.BytesOut < r.Received || what != "meta" && r.Sent+r.Received == 0 {
				t.Errorf("the server has counted %d in and %d out, the load %d and %d", s.Total.BytesIn, s.Total.BytesOut, r.Sent, r.Received)
			}
			if fi, err := os.Stat(filepath.Join(dir, "load")); err != nil || what != "meta" && fi.Size() != 1<<20 {
				t.Errorf("the file: %v, %v", fi, err)
			}
		})
	}
}

func TestALoadThatHoldsWaits(t *testing.T) {
	socket, _ := started(t, kernelServer("echo")...)
	port := portOf(t, socket)
	cmd := program(t.Context(), "load", "many", "--to", "127.0.0.1:"+port, "--flows", "7", "--for", "20ms", "--hold", "--json")
	open := 0
	out, err := holding(cmd, func() error {
		s, err := readSnapshot(socket)
		open = len(s.Conns)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var r loadResult
	if err := json.Unmarshal(out, &r); err != nil || open != 7 || r.Requests == 0 {
		t.Errorf("%d connections were open; %+v, %v", open, r, err)
	}
}

func TestHoldingTellsWhatTheLoadSaid(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo no server >&2; exit 3")
	_, err := holding(cmd, func() error { t.Error("called before all was open"); return nil })
	if err == nil || !strings.Contains(err.Error(), "no server") {
		t.Errorf("%v", err)
	}
}

func TestParsingOfProc(t *testing.T) {
	busy, err := busyTime("cpu  100 20 30 1000 500 7 3 9 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n", nil)
	if err != nil || busy != 1600*time.Millisecond {
		t.Errorf("busy %v, %v; want user, nice, system, irq and softirq: 1.6s", busy, err)
	}
	if _, err := busyTime("intr 1 2 3\n", nil); err == nil {
		t.Error("a /proc/stat without processors")
	}
	group, ticks, err := parseStat("42 (a (b) c) S 1 77 77 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5\n")
	if err != nil || group != 77 || ticks != 100 {
		t.Errorf("group %d, %d ticks, %v", group, ticks, err)
	}
	if _, _, err := parseStat("42 (sh) S 1"); err == nil {
		t.Error("half a line")
	}
	if n := parseCalls("rchar: 5\nwchar: 6\nsyscr: 3\nsyscw: 4\nread_bytes: 9\n"); n != 7 {
		t.Errorf("%d calls, want 7", n)
	}
}

// A load that is interrupted ends with 130 whatever it is at, and does not tell of the connections that this has closed.
func TestALoadThatIsInterruptedSaysNothing(t *testing.T) {
	for _, load := range [][]string{{"push"}, {"pull"}, {"ping"}, {"many"}, {"smb", "put"}} {
		t.Run(load[0], func(t *testing.T) {
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			args := append(append([]string{"load"}, load...), "--for", "20s", "--to", ln.Addr().String())
			if load[0] == "smb" {
				args = append(args, "--share", "none")
			}
			cmd := program(t.Context(), args...)
			var said bytes.Buffer
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			conn, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if load[0] != "pull" {
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || said.Len() > 0 {
				t.Errorf("%v, and says %q", err, said.String())
			}
		})
	}
}
