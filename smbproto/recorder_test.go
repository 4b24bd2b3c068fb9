package smbproto

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ustack/smbproto/wire"
)

var (
	recordAt   = flag.String("record.at", "", "the address at which to wait for a client whose messages are recorded")
	recordAs   = flag.String("record.as", "", "the name of the recording")
	recordMost = flag.Int("record.most", 16<<10, "how many bytes of it are kept")
)

// TestRecordAClient is how the recordings of FuzzRecorded are made: it serves an empty directory at -record.at until all
// connections that were made have been closed, and keeps what the clients said. They must log on as nobody, and neither sign nor
// encrypt:
//
//	go test ./smbproto -run TestRecordAClient -record.at 127.0.0.1:4450 -record.as smbclient-3.1.1 &
//	smbclient -N -p 4450 //127.0.0.1/pub -c 'mkdir d; ls'
func TestRecordAClient(t *testing.T) {
	if *recordAt == "" {
		t.Skip("records with -record.at and -record.as")
	}
	ts := startServer(t, allowSMB1)
	ln, err := net.Listen("tcp", *recordAt)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t, to: ts.addr}
	if err := ln.(*net.TCPListener).SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	r.accept(ln)
	name := filepath.Join("testdata", "fuzz", "FuzzRecorded", *recordAs)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", r.said.Bytes()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages, %d bytes, %d connections", r.messages, r.said.Len(), r.conns)
}

// recorder stands between clients and a server.
type recorder struct {
	t    *testing.T
	to   string
	wait sync.WaitGroup

	mu       sync.Mutex
	ids      spokenIDs
	said     bytes.Buffer
	full     bool
	messages int
	conns    int
	open     int
	ln       net.Listener
}

// accept takes connections until all that were made are closed.
func (r *recorder) accept(ln net.Listener) {
	r.ln = ln
	for {
		conn, err := ln.Accept()
		if err != nil {
			break
		}
		server, err := net.Dial("tcp", r.to)
		if err != nil {
			r.t.Error(err)
			break
		}
		r.mu.Lock()
		who := r.conns
		r.conns++
		r.open++
		r.mu.Unlock()
		r.wait.Add(2)
		go r.pass(server, conn, func(b []byte) { r.keep(who, b) })
		go r.pass(conn, server, r.learn)
	}
	r.wait.Wait()
}

// pass hands frames on, and tells of each before.
func (r *recorder) pass(to, from net.Conn, tell func(msg []byte)) {
	defer r.wait.Done()
	defer to.Close()
	defer tell(nil)
	for {
		head := make([]byte, wire.FrameHeaderSize)
		if _, err := io.ReadFull(from, head); err != nil {
			break
		}
		msg := make([]byte, wire.FrameHeader(head).Length())
		if _, err := io.ReadFull(from, msg); err != nil {
			break
		}
		tell(msg)
		if _, err := to.Write(append(head, msg...)); err != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open--; r.open == -r.conns { // both ways of all
		r.ln.Close()
	}
}

func (r *recorder) learn(msg []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wire.IsSMB2(msg) {
		r.ids.learn(msg)
	}
}

func (r *recorder) keep(who int, msg []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wire.IsTransform(msg) || wire.IsSMB2(msg) && wire.Header(msg).Has(wire.FlagSigned) {
		r.t.Error("the client signs or encrypts")
	}
	if r.full = r.full || who >= speakers || len(msg) > 1<<16-1 || r.said.Len()+len(msg) > *recordMost; r.full {
		return
	}
	b := bytes.Clone(msg)
	if wire.IsSMB2(b) {
		r.ids.number(b)
	}
	r.said.WriteByte(byte(who))
	r.said.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(b))))
	r.said.Write(b)
	r.messages++
}

// unquote reads what %q has written of bytes.
func unquote(s string) ([]byte, error) {
	text, err := strconv.Unquote(strings.TrimSpace(s))
	return []byte(text), err
}
