// Command ustack serves, measures and inspects streams over the IO area, on a
// user-space TCP stack or the kernel's.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	LogLevel  slog.Level `help:"Least level of log lines: debug, info, warn or error." default:"info"`
	LogFormat string     `help:"Format of log lines: text or json." enum:"text,json" default:"text"`

	Serve serveCmd `cmd:"" help:"Serve files, or a small service for experiments, out of IO areas."`

	SMB   smbCmd   `cmd:"" name:"smb" help:"Manage what an SMB server needs."`
	Stats statsCmd `cmd:"" help:"Show the connections and counters of a running server."`
	Load  loadCmd  `cmd:"" help:"Put load on a server from this machine's kernel TCP, and print what it did."`
	Demo  demoCmd  `cmd:"" help:"Serve a directory to smbclient over both stacks, and from Samba, in a lab, and compare."`

	Compare compareCmd `cmd:"" help:"Measure user-space TCP against kernel TCP, and against other baselines, in a lab."`
	Relay   relayCmd   `cmd:"" help:"Join two TAP devices by moving frames, for comparison."`
	Ceiling ceilingCmd `cmd:"" help:"Move frames through a TAP device without TCP, for comparison."`
}

func main() {
	var c cli
	parser := newParser(&c)
	k, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	log := newLogger(&c)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait
	k.BindTo(ctx, (*context.Context)(nil))
	k.Bind(log)
	if err := k.Run(); err != nil {
		if errors.Is(err, context.Canceled) {
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "ustack:", err)
		os.Exit(1)
	}
}

func newParser(c *cli) *kong.Kong {
	return kong.Must(c,
		kong.Name("ustack"),
		kong.Description("User-space TCP whose receive buffer is the request handler's own memory."),
		kong.ShortUsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}

func newLogger(c *cli) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}
