package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Bounds of the metrics' HTTP server.
const (
	metricsTimeout  = 10 * time.Second // for a request, and for its answer
	metricsInFlight = 4                // scrapes at a time
	metricsHeader   = 16 << 10         // bytes
	metricsConns    = 32               // so that nobody takes the descriptors that clients need
)

// A metricsServer answers GET /metrics with what the control socket tells, for Prometheus: on the kernel's TCP, in the
// namespace that the program is in, or on a Unix socket.
type metricsServer struct {
	ln      net.Listener
	server  *http.Server
	running sync.WaitGroup
}

// listenMetrics listens at HOST:PORT, or at a path that begins with "/", which is owner's then; "" is none, and nil. It answers when
// serve is called.
func listenMetrics(at string, owner *account) (*metricsServer, error) {
	if at == "" {
		return nil, nil
	}
	network := "tcp"
	if a, err := netip.ParseAddrPort(at); err == nil {
		network = tcpOf(a.Addr())
	}
	var ln net.Listener
	var err error
	if strings.HasPrefix(at, "/") {
		ln, err = listenUnix(at, owner)
	} else {
		ln, err = net.Listen(network, at)
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &metricsServer{ln: ln}, nil
}

// checkMetrics refuses what is no address to listen at; "" is none.
func checkMetrics(label, at string) error {
	if at == "" || strings.HasPrefix(at, "/") {
		return nil
	}
	_, port, err := net.SplitHostPort(at)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%s %q: want HOST:PORT, or the path of a Unix socket, which begins with \"/\": %w", label, at, err)
	}
	return nil
}

func (m *metricsServer) serve(log *slog.Logger, ask func() snapshot) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(snapshotCollector{ask}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), MaxRequestsInFlight: metricsInFlight, Timeout: metricsTimeout,
	}))
	m.server = &http.Server{
		Handler: mux, ReadTimeout: metricsTimeout, WriteTimeout: 2 * metricsTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: metricsHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	m.running.Go(func() {
		if err := m.server.Serve(netutil.LimitListener(m.ln, metricsConns)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics", "err", err)
		}
	})
}

func (m *metricsServer) Close() error {
	if m == nil {
		return nil
	}
	if m.server == nil {
		return m.ln.Close()
	}
	err := m.server.Close()
	m.running.Wait()
	return err
}

// snapshotCollector makes metrics of a snapshot at each scrape: nothing is counted for it beside.
type snapshotCollector struct{ ask func() snapshot }

// Describe sends nothing: which metrics there are depends on the stack and the service.
func (snapshotCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c snapshotCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.ask()
	e := exporter{ch}
	e.gauge("ustack_info", "1, with the service and the stack.", 1, "service", s.Service, "stack", s.Stack)
	e.counter("ustack_received_bytes_total", "Payload that reached In rings.", float64(s.Total.BytesIn))
	e.counter("ustack_sent_bytes_total", "Payload that was taken from Out rings.", float64(s.Total.BytesOut))
	e.counter("ustack_placed_bytes_total", "Received payload that the device wrote to its final place.", float64(s.Total.PlacedIn))
	e.counter("ustack_copied_bytes_total", "Payload bytes that user space copied.", float64(s.Total.CopiedIn), "way", "in")
	e.counter("ustack_copied_bytes_total", "Payload bytes that user space copied.", float64(s.Total.CopiedOut), "way", "out")
	e.counter("ustack_retransmits_total", "Segments sent again.", float64(s.Retransmits))
	e.counter("ustack_io_calls_total", "Reads and writes of frames, sockets and files.", float64(s.Syscalls))
	var in, out int
	for _, conn := range s.Conns {
		in, out = in+conn.RingIn, out+conn.RingOut
	}
	e.gauge("ustack_ring_bytes", "Bytes that lie in the rings of all connections (0 with --totals).", float64(in), "way", "in")
	e.gauge("ustack_ring_bytes", "Bytes that lie in the rings of all connections (0 with --totals).", float64(out), "way", "out")
	e.gauge("ustack_ring_resident_bytes", "Memory in pages of rings.", float64(s.Process.Rings))
	e.netstack(&s)
	e.smb(&s)
	if a := s.Audit; a != nil {
		e.counter("ustack_audit_events_total", "Events of the audit log.", float64(a.Events), "outcome", "taken")
		e.counter("ustack_audit_events_total", "Events of the audit log.", float64(a.Lost), "outcome", "lost")
	}
}

// exporter sends metrics of given labels, name and value by turns.
type exporter struct{ ch chan<- prometheus.Metric }

func (e exporter) send(kind prometheus.ValueType, name, help string, v float64, labels []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	e.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, v, values...)
}

func (e exporter) counter(name, help string, v float64, labels ...string) {
	e.send(prometheus.CounterValue, name, help, v, labels)
}

func (e exporter) gauge(name, help string, v float64, labels ...string) {
	e.send(prometheus.GaugeValue, name, help, v, labels)
}

func (e exporter) netstack(s *snapshot) {
	n := s.Netstack
	if n == nil {
		return
	}
	e.counter("ustack_frames_total", "Frames of the device.", float64(n.FramesIn), "way", "in")
	e.counter("ustack_frames_total", "Frames of the device.", float64(n.FramesOut), "way", "out")
	e.counter("ustack_frames_lost_total", "Frames that the device did not take.", float64(n.WritesLost))
	e.counter("ustack_checksum_errors_total", "Segments with a wrong checksum.", float64(n.ChecksumErrors))
	e.counter("ustack_queue_drops_total", "Segments dropped because a connection's queue was full.", float64(n.QueueDrops))
	e.counter("ustack_connections_refused_total", "Connections refused because the table was full.", float64(n.Refused))
	e.gauge("ustack_connections", "Connections of the stack.", float64(n.Conns))
	e.gauge("ustack_queues", "Queues of the TAP in use.", float64(n.Queues))
	e.gauge("ustack_rings_in_limbo", "Rings of ended connections that TCP still refers to.", float64(n.Limbo))
}

func (e exporter) smb(s *snapshot) {
	st := s.SMB
	if st == nil {
		return
	}
	e.gauge("ustack_smb_connections", "SMB connections.", float64(st.Connections))
	e.gauge("ustack_smb_sessions", "Sessions, also those that are logging on.", float64(st.Sessions))
	e.gauge("ustack_smb_trees", "Tree connects.", float64(st.Trees))
	e.gauge("ustack_smb_opens", "Opens of files, directories and pipes.", float64(st.Opens))
	e.gauge("ustack_smb_disconnected_opens", "Opens that are kept for clients whose connection was lost.", float64(st.Disconnected))
	e.gauge("ustack_smb_files", "Open files, of ustack_smb_files_max.", float64(st.Files))
	e.gauge("ustack_smb_files_max", "Files that may be open (--config: limits.files).", float64(st.MaxFiles))
	e.counter("ustack_smb_read_bytes_total", "Bytes that READ has answered.", float64(st.BytesRead))
	e.counter("ustack_smb_written_bytes_total", "Bytes that WRITE has written.", float64(st.BytesWritten))
	e.counter("ustack_smb_log_ons_refused_total", "Log-ons that failed.", float64(st.LogOnsRefused))
	for cmd, by := range st.Answers {
		for status, n := range by {
			e.counter("ustack_smb_answers_total", "Answers by command and status, interim ones too.", float64(n), "command", cmd, "status", status)
		}
	}
	desc := prometheus.NewDesc("ustack_smb_request_seconds", "Time from a request to its answer, without what it waited for others.", []string{"command"}, nil)
	for cmd, l := range st.Latency {
		e.ch <- prometheus.MustNewConstHistogram(desc, l.Count(), l.Sum.Seconds(), l.Cumulative(), cmd)
	}
}
