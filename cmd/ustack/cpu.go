package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pin keeps all threads of this process on the given processors; those that the
// runtime starts later inherit that from the thread that starts them.
func pin(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	for range 2 { // a thread may start another while we are at it
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("pin to CPUs %v: %w", cpus, err)
		}
		for _, t := range tasks {
			tid, _ := strconv.Atoi(t.Name())
			switch err := unix.SchedSetaffinity(tid, &set); err {
			case nil, unix.ESRCH:
			case unix.EINVAL:
				return fmt.Errorf("pin to CPUs %v: this machine has none of them to give: %w", cpus, err)
			default:
				return fmt.Errorf("pin to CPUs %v: %w", cpus, err)
			}
		}
	}
	var got unix.CPUSet
	if err := unix.SchedGetaffinity(0, &got); err != nil {
		return fmt.Errorf("pin to CPUs %v: %w", cpus, err)
	}
	for _, c := range cpus {
		if !got.IsSet(c) {
			return fmt.Errorf("pin to CPUs %v: this machine has no CPU %d to give", cpus, c)
		}
	}
	return nil
}

// cpuTime is the CPU time that this process has used, in user and kernel mode.
func cpuTime() (user, system time.Duration) {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return 0, 0
	}
	return time.Duration(ru.Utime.Nano()), time.Duration(ru.Stime.Nano())
}

// processCPU is the CPU time that a process has used, all its threads together. The
// clock of a process is named by its number (clock_getcpuclockid(3)).
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of the kernel: to the nanosecond
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// readsAndWrites is how often this process has called read, write, and their
// gathered and positioned kin, as the kernel counts; 0 where it does not.
func readsAndWrites() (n uint64) {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	return parseCalls(string(b))
}

// parseCalls sums the calls that /proc/PID/io tells.
func parseCalls(io string) (n uint64) {
	for line := range strings.Lines(io) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name == "syscr" || name == "syscw" {
			v, _ := strconv.ParseUint(value, 10, 64)
			n += v
		}
	}
	return n
}
