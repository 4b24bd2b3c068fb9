package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"ustack/ioarea"
	"ustack/netstack"
)

// drainTime bounds how long a server that is told to stop waits for the requests
// that have begun.
const drainTime = 5 * time.Second

// acceptAgain is how long a server that could not accept waits.
const acceptAgain = 100 * time.Millisecond

// A server runs one handler for each area that its backend accepts.
type server struct {
	log     *slog.Logger
	backend backend
	service string
	// serve answers one connection until it ends, and closes its area.
	serve func(*ioarea.Area) error
	// checks find what prepare could not open, before anything is put up, with the rights that it will have.
	checks []func() error
	// prepare, if not nil, opens what the service needs, as the user of --user; extra is not called before.
	prepare func() error
	// extra adds a service's counters to a snapshot; it may be nil.
	extra func(*snapshot)
	// hangUp is called at each SIGHUP, by one goroutine, while connections can come; nil ignores it.
	hangUp func()
	// addrs are listened at; metrics is where those are told, or "".
	addrs   []string
	metrics string
	// totals leaves connections out of snapshots.
	totals bool
	// calm counts connections; nil where GOMAXPROCS is the user's own, and where it could not be stopped.
	calm *calm

	mu      sync.Mutex
	areas   map[*ioarea.Area]struct{}
	running sync.WaitGroup
}

// run opens the backend and serves until ctx ends. in and out are the least ring
// sizes that the service needs.
func (f *stackFlags) run(ctx context.Context, log *slog.Logger, ports []uint16, in, out int, s *server) error {
	if err := f.check(); err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		procs := max(f.Procs, f.Shards)
		runtime.GOMAXPROCS(procs)
		if canCalm(os.Getenv("GODEBUG")) {
			s.calm = newCalm(procs)
			defer s.calm.close()
		}
	}
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP) // from now on: one that comes early waits
	defer signal.Stop(hangUps)
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more ends no server
	for i, port := range ports {
		if port != 0 && slices.Contains(ports[:i], port) {
			return fmt.Errorf("%s %d: given twice", f.label("port"), port)
		}
	}
	if err := pin(f.CPU); err != nil {
		return fmt.Errorf("%s: %w", f.label("cpu"), err)
	}
	owner, err := findAccount(f.label("user"), f.User)
	if err != nil {
		return err
	}
	if err := owner.as(s.check); err != nil {
		return err
	}
	ctl, err := listenControl(f.Control, owner)
	if err != nil {
		return fmt.Errorf("%s: %w", f.label("control"), err)
	}
	// An address that is taken is told before there is a device. One that is not there yet may be the device's.
	exported, err := listenMetrics(f.Metrics, owner)
	if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return errors.Join(err, ctl.Close())
	}
	b, err := f.open(log, in, out, owner)
	if err != nil {
		return errors.Join(err, exported.Close(), ctl.Close())
	}
	s.totals = f.Totals
	s.log, s.backend, s.areas = log, b, map[*ioarea.Area]struct{}{}
	began := time.Now()
	ln, err := listenAll(b, ports)
	if err != nil {
		return errors.Join(err, exported.Close(), ctl.Close(), b.Close())
	}
	s.addrs = addrsOf(ln)
	closeAll := func() error { return errors.Join(exported.Close(), ctl.Close(), ln.Close(), b.Close()) }
	if exported == nil {
		if exported, err = listenMetrics(f.Metrics, owner); err != nil {
			return errors.Join(err, closeAll())
		}
	}
	if exported != nil {
		s.metrics = exported.ln.Addr().String()
	}
	// All that takes privileges has been done.
	if err := owner.become(); err != nil {
		return errors.Join(err, closeAll())
	}
	if s.prepare != nil {
		if err := s.prepare(); err != nil {
			return errors.Join(err, closeAll())
		}
	}
	ask := func() snapshot { return s.snapshot(began) }
	ctl.serve(ask)
	if exported != nil {
		exported.serve(log, ask)
	}
	log.Info("serving", "service", s.service, "stack", b.Kind(), "addrs", s.addrs, "metrics", s.metrics, "control", ctl.path)

	accepting := make(chan error, 1)
	go func() { accepting <- s.acceptAll(ln) }()
	for serving := true; serving; {
		select {
		case <-hangUps:
			if s.hangUp != nil {
				s.hangUp()
			}
			continue
		case <-ctx.Done():
			log.Info("stopping", "connections", s.count())
			err = errors.Join(ln.Close(), ignoreClosed(<-accepting))
		case err = <-accepting:
			err = errors.Join(err, ln.Close())
		}
		serving = false
	}
	s.drain()
	return errors.Join(err, exported.Close(), ctl.Close(), b.Close())
}

func (s *server) check() error {
	var errs []error
	for _, check := range s.checks {
		errs = append(errs, check())
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// acceptAll accepts until the listener is closed, or the device has failed. Whatever
// else keeps it from accepting, descriptors that have run out say, may pass.
func (s *server) acceptAll(ln acceptor) error {
	for {
		a, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, netstack.ErrDevice) {
			return err
		}
		if err != nil {
			s.log.Error("accept", "addr", ln.Addr(), "err", err)
			time.Sleep(acceptAgain)
			continue
		}
		s.mu.Lock()
		s.areas[a] = struct{}{}
		s.mu.Unlock()
		s.running.Go(func() { s.serveOne(a) })
	}
}

func (s *server) serveOne(a *ioarea.Area) {
	s.calm.join()
	defer s.calm.leave()
	st := a.Stream()
	s.log.Debug("connection", "peer", st.RemoteAddr(), "stack", st.Kind())
	err := s.serve(a)
	s.mu.Lock()
	delete(s.areas, a)
	s.mu.Unlock()
	if err != nil {
		s.log.Info("connection ended", "peer", st.RemoteAddr(), "err", err)
		return
	}
	s.log.Debug("connection closed", "peer", st.RemoteAddr())
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.areas)
}

// drain lets handlers finish the requests that have begun to arrive, and stops those
// that take longer.
func (s *server) drain() {
	s.each((*ioarea.Area).Finish)
	if s.wait(drainTime) {
		return
	}
	s.log.Warn("connections cut", "connections", s.count())
	stopped := fmt.Errorf("server stopped: %w", ioarea.ErrClosed)
	s.each(func(a *ioarea.Area) {
		a.In.Close(stopped)
		a.Out.Refuse(stopped)
	})
	s.wait(drainTime)
}

func (s *server) each(f func(*ioarea.Area)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.areas {
		f(a)
	}
}

// wait reports whether all handlers have ended in time.
func (s *server) wait(d time.Duration) bool {
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
