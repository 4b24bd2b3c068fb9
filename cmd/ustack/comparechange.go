package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ustack/cmd/ustack/compare"
)

// What a comparison is made with that is not as ever.
type compareChange struct {
	With     []string `name:"with" placeholder:"FLAG" sep:"none" help:"A further flag for user-space TCP's server, not for its baselines, as --with=--spin=-1ns; may be repeated. None that gives it another place, processors, client, congestion control or work."`
	Sysctl   []string `name:"sysctl" placeholder:"KEY=VALUE" sep:"none" help:"A setting of the kernel for the time of the comparison, in both namespaces, as --sysctl=net.ipv4.tcp_notsent_lowat=131072; may be repeated. Some are the whole machine's."`
	FileSize fileSize `name:"file-size" placeholder:"SIZE" help:"Size of the files that SMB puts, gets and reads, at least 1MiB (default: 256MiB)."`
	Files    string   `name:"files" type:"existingdir" placeholder:"DIR" help:"Directory in which SMB's shares are made, as one on a disk (default: that of temporary files, which scripts/compare.sh has in memory)."`
}

// leastFile is the least of them: one request of SMB put and get.
const leastFile = 1 << 20

// A fileSize is a byteSize of at least leastFile; 0 if none is given.
type fileSize byteSize

// UnmarshalText reads a byteSize.
func (f *fileSize) UnmarshalText(text []byte) error {
	var b byteSize
	if err := b.UnmarshalText(text); err != nil {
		return err
	}
	if b < leastFile {
		return fmt.Errorf("%s: want at least 1MiB", text)
	}
	*f = fileSize(b)
	return nil
}

// changed names the flag that makes a comparison another one; empty if none does.
func (c *compareChange) changed() string {
	switch {
	case len(c.With) > 0:
		return "--with"
	case len(c.Sysctl) > 0:
		return "--sysctl"
	case c.FileSize > 0:
		return "--file-size"
	case c.Files != "":
		return "--files"
	}
	return ""
}

// settings says what is not as ever, for the report.
func (c *compareChange) settings() (s []string) {
	if len(c.With) > 0 {
		s = append(s, "user-space TCP's server with "+strings.Join(c.With, " "))
	}
	if c.FileSize > 0 {
		s = append(s, "SMB's files of "+strconv.FormatUint(uint64(c.FileSize), 10)+" bytes")
	}
	if c.Files != "" {
		s = append(s, "SMB's files below "+c.Files+" instead")
	}
	return s
}

// check refuses what can't be changed in any of the steps, before anything is measured.
func (c *compareChange) check(steps []compare.Step) error {
	if c.FileSize > 0 && !slices.ContainsFunc(steps, hasFile) {
		return errors.New("--file-size: no workload that is to be measured puts, gets or reads a file")
	}
	if c.Files != "" && !slices.ContainsFunc(steps, isSMB) {
		return errors.New("--files: no workload that is to be measured is one of SMB")
	}
	return checkWith(c.With, steps)
}

func isSMB(s compare.Step) bool { return s.Service == "smb" }

// hasFile says whether a step is about a large file.
func hasFile(s compare.Step) bool {
	return isSMB(s) && slices.Contains([]string{"put", "get", "read"}, s.Load[1])
}

// apply makes the loads of steps those of files of another size.
func (c *compareChange) apply(steps []compare.Step) {
	for i := range steps {
		if s := &steps[i]; c.FileSize > 0 && hasFile(*s) {
			s.Load = append(slices.Clone(s.Load), "--size", strconv.FormatUint(uint64(c.FileSize), 10))
		}
	}
}
