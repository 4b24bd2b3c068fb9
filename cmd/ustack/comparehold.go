package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// holding runs a load that waits when its connections are open, calls f then, and has
// it go on. It returns what it printed after that.
func holding(cmd *exec.Cmd, f func() error) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := bufio.NewReader(stdout)
	line, err := r.ReadString('\n')
	var failed error
	if err == nil && strings.TrimSpace(line) == openLine {
		failed = f()
	}
	if failed == nil {
		_, _ = io.WriteString(stdin, "on\n") // one that has ended says below why
	}
	_ = stdin.Close()
	out, _ := io.ReadAll(r)
	if err := cmd.Wait(); err != nil {
		if msg := strings.TrimSpace(stderr.String()); msg != "" {
			err = fmt.Errorf("%w: %s", err, msg)
		}
		return nil, errors.Join(failed, err)
	}
	return out, failed
}
