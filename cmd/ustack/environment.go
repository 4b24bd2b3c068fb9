package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// environment says on what figures were measured.
func environment() string {
	var u unix.Utsname
	kernel := "unknown"
	if unix.Uname(&u) == nil {
		kernel, _, _ = strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	}
	return fmt.Sprintf("%s, %d CPUs (%s), Linux %s, %s", runtime.GOARCH, runtime.NumCPU(), cpuModel(), kernel, runtime.Version())
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// commit is set by whoever builds this program (-ldflags "-X main.commit=..."): Go itself
// knows it in the first working tree of a repository, not in those that git adds.
var commit string

// version is that of this program: the commit it was built from, where that is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case commit != "":
		return commit
	case !ok:
		return "unknown"
	}
	return versionOf(info)
}

// versionOf is the commit that Go has noted.
func versionOf(info *debug.BuildInfo) string {
	v, modified := info.Main.Version, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+modified"
		}
	}
	return v + modified
}

// versions are those of what is measured beside this program.
func versions(ctx context.Context, smbd bool) (vs []string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "gvisor.dev/gvisor" {
				vs = append(vs, "gVisor "+m.Version)
			}
		}
	}
	if smbd {
		if v := smbdVersion(ctx); v != "" {
			vs = append(vs, "smbd: "+v)
		}
	}
	return vs
}

// smbdVersion is what smbd says, as "Version 4.17.12-Debian"; empty if it says nothing.
func smbdVersion(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, "smbd", "-V").Output()
	return strings.TrimSpace(string(out))
}
