package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// groupCPU is the CPU time of a process group; of its members that have ended too, once
// their parent has noticed.
func groupCPU(pgid int) (cpu time.Duration, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		group, ticks, err := parseStat(string(b))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		if group == pgid {
			cpu += time.Duration(ticks) * time.Second / userHZ
		}
	}
	return cpu, nil
}

// parseStat takes the process group and the CPU time, that of children included, out
// of /proc/PID/stat. The name, in parentheses, may hold anything.
func parseStat(stat string) (group int, ticks uint64, err error) {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 15 {
		return 0, 0, fmt.Errorf("%d fields, want 15 and more", len(f))
	}
	if group, err = strconv.Atoi(f[2]); err != nil {
		return 0, 0, err
	}
	for _, v := range f[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		ticks += n
	}
	return group, ticks, nil
}

// ownsListener says whether a process listens at a TCP port of its namespace.
func ownsListener(pid, port int) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return err
	}
	const listening = "0A"
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != listening || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil {
			return err
		}
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && to == "socket:["+f[9]+"]" {
				return nil
			}
		}
		return fmt.Errorf("port %d is another process's", port)
	}
	return fmt.Errorf("process %d does not listen at port %d", pid, port)
}
