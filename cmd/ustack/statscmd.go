package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

type statsCmd struct {
	Socket []string `arg:"" optional:"" help:"Control sockets (default: those of all running servers of this user)."`
	JSON   bool     `help:"Print JSON, one object a server."`
}

func (c *statsCmd) Help() string {
	return `
Examples:

  ustack stats
  ustack stats --json | jq '.conns[] | {remote, placed_in, bytes_in}'
`
}

func (c *statsCmd) Run() error {
	sockets := c.Socket
	if len(sockets) == 0 {
		if err := ownControlDir(controlDir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sockets, _ = filepath.Glob(filepath.Join(controlDir(), "*.sock"))
		of, _ := filepath.Glob(filepath.Join(controlDir(), "*", "*.sock")) // users whom servers have become
		sockets = append(sockets, of...)
	}
	shown, out := 0, bufio.NewWriter(os.Stdout)
	for _, path := range sockets {
		s, err := readSnapshot(path)
		if err != nil {
			if len(c.Socket) > 0 {
				return errors.Join(err, out.Flush())
			}
			continue // of a server that is gone
		}
		shown++
		if c.JSON {
			if err := json.NewEncoder(out).Encode(s); err != nil {
				return err
			}
			continue
		}
		printSnapshot(out, s)
	}
	if shown == 0 {
		return fmt.Errorf("no server is running (looked in %s)", controlDir())
	}
	return out.Flush()
}

func printSnapshot(w io.Writer, s snapshot) {
	at := strings.Join(s.Addrs, ", ")
	if s.Metrics != "" {
		at += ", metrics at " + s.Metrics
	}
	fmt.Fprintf(w, "%s on %s at %s, pid %d, up %.0f s, CPU %.2f s user %.2f s system, %d system calls, %d segments sent again\n",
		s.Service, s.Stack, at, s.PID, s.UptimeS, s.UserS, s.SystemS, s.Syscalls, s.Retransmits)
	if n := s.Netstack; n != nil {
		fmt.Fprintf(w, "frames %d in, %d out; payload read in place %d bytes, elsewhere %d; queues in use %d, %d flows steered, %d ACKs left out as others said as much, %d refused, %d path MTUs not believed\n",
			n.FramesIn, n.FramesOut, n.PlacedIn, n.CopiedIn, n.Queues, n.Steered, n.ACKsDropped, n.Refused, n.PathMTURefused)
	}
	if len(s.Conns) == 0 {
		fmt.Fprintln(w, "no connections")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "remote\tring in, B\tring out, B\twindow, B\tcwnd, segments\tRTT\tbytes in\tin place\tcopied in\tbytes out\tcopied out\tsent again\t")
	for _, c := range s.Conns {
		fmt.Fprintf(t, "%v\t%d\t%d\t%d\t%d\t%v\t%d\t%d\t%d\t%d\t%d\t%d\t\n", c.Remote, c.RingIn, c.RingOut, c.Window, c.Cwnd,
			c.RTT.Round(time.Microsecond), c.BytesIn, c.PlacedIn, c.CopiedIn, c.BytesOut, c.CopiedOut, c.Retransmits)
	}
	t.Flush()
}
