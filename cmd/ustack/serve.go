package main

import (
	"context"
	"io"
	"log/slog"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
)

type serveCmd struct {
	SMB    serveSMBCmd    `cmd:"" name:"smb" help:"Serve directories to SMB clients."`
	Echo   serveEchoCmd   `cmd:"" help:"Send back what comes."`
	Sink   serveSinkCmd   `cmd:"" help:"Consume what comes."`
	Source serveSourceCmd `cmd:"" help:"Send bytes to whoever connects."`
}

// experimentRing is the ring size of the small services, bytes.
const experimentRing = 8 << 20

type serveEchoCmd struct {
	stackFlags
	Port uint16 `help:"TCP port." default:"7"`
}

func (c *serveEchoCmd) Help() string {
	return `
Examples:

  ustack serve echo --addr 10.77.0.2/24 --host-addr 10.77.0.1/24
  ustack serve echo --stack kernel --addr 127.0.0.1 --port 7007
`
}

func (c *serveEchoCmd) Run(ctx context.Context, log *slog.Logger) error {
	return c.stackFlags.run(ctx, log, []uint16{c.Port}, experimentRing, experimentRing, &server{
		service: "echo",
		serve:   func(a *ioarea.Area) error { return ioarea.Serve(a, handlers.Echo{}) },
	})
}

type serveSinkCmd struct {
	stackFlags
	Port  uint16 `help:"TCP port." default:"9"`
	Check bool   `help:"Read each byte, for a CRC-32C: a sink that never looks flatters zero copy."`
}

func (c *serveSinkCmd) Help() string {
	return `
Examples:

  ustack serve sink --addr 10.77.0.2/24 --host-addr 10.77.0.1/24
  ustack load push --to 10.77.0.2:9 --bytes 4GiB
`
}

func (c *serveSinkCmd) Run(ctx context.Context, log *slog.Logger) error {
	return c.stackFlags.run(ctx, log, []uint16{c.Port}, experimentRing, 64<<10, &server{
		service: "sink",
		serve:   func(a *ioarea.Area) error { return ioarea.Serve(a, &handlers.Sink{Check: c.Check}) },
	})
}

type serveSourceCmd struct {
	stackFlags
	Port  uint16   `help:"TCP port." default:"19"`
	Bytes byteSize `help:"How many bytes a connection is sent." default:"1GiB"`
	Fill  bool     `help:"Write each byte anew, a function of its place in the stream; otherwise what the ring holds is sent as it is."`

	UntilClosed bool `help:"Send until the client closes its side, instead of a number of bytes."`
}

func (c *serveSourceCmd) Help() string {
	return `
Examples:

  ustack serve source --addr 10.77.0.2/24 --host-addr 10.77.0.1/24 --bytes 4GiB
  ustack load pull --to 10.77.0.2:19
`
}

func (c *serveSourceCmd) Run(ctx context.Context, log *slog.Logger) error {
	return c.stackFlags.run(ctx, log, []uint16{c.Port}, 512<<10, experimentRing, &server{
		service: "source",
		serve: func(a *ioarea.Area) error {
			if c.UntilClosed {
				return ioarea.Serve(a, &endlessSource{fill: c.Fill})
			}
			return ioarea.Serve(a, &handlers.Source{Bytes: uint64(c.Bytes), Fill: c.Fill})
		},
	})
}

// endlessPart is how much an endless source sends before it looks whether the
// client has had enough.
const endlessPart = 1 << 20

// An endlessSource is a handlers.Source that sends until the client closes its side.
type endlessSource struct {
	fill bool
	part handlers.Source
}

// Handle implements ioarea.Handler.
func (s *endlessSource) Handle(a *ioarea.Area) (ioarea.Next, error) {
	for {
		if ended, _ := a.In.Ended(); ended {
			return ioarea.Next{}, io.EOF
		}
		s.part = handlers.Source{Bytes: endlessPart, Fill: s.fill}
		if next, err := s.part.Handle(a); err != io.EOF {
			return next, err
		}
	}
}
