package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// userHZ is the unit of /proc/stat, a fixed part of Linux's interface.
const userHZ = 100

// systemCPU is how long some processors, or all if none is named, together have been busy
// since the machine started: user, nice, system, irq and softirq. What TCP does in softirq belongs to no
// process, and is here.
func systemCPU(cpus []int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return busyTime(string(b), cpus)
}

func busyTime(stat string, cpus []int) (time.Duration, error) {
	wanted := []string{"cpu"} // the line of all
	if len(cpus) > 0 {
		wanted = nil
		for _, n := range cpus {
			wanted = append(wanted, fmt.Sprintf("cpu%d", n))
		}
	}
	var ticks uint64
	found := 0
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) < 8 || !slices.Contains(wanted, f[0]) {
			continue
		}
		found++
		for _, i := range []int{1, 2, 3, 6, 7} { // idle and iowait, 4 and 5, are left out
			v, err := strconv.ParseUint(f[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			ticks += v
		}
	}
	if found != len(wanted) {
		return 0, fmt.Errorf("/proc/stat has %d of the lines %v", found, wanted)
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}
