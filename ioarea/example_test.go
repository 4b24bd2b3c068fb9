package ioarea_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"ustack/ioarea"
)

// A handler reads its request where the receive thread put it, and builds its
// answer where the sender takes it from.
func ExampleServe() {
	pool, err := ioarea.NewPool(64<<10, 64<<10, 16)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	server, client, err := connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	area, err := ioarea.StartKernel(pool, server, server, func(err error) { ended <- err })
	if err != nil {
		fmt.Println(err)
		return
	}

	// Requests begin with their length, of 2 bytes.
	upper := func(a *ioarea.Area) (ioarea.Next, error) {
		if a.In.Len() < 2 {
			return ioarea.Next{Min: 2, Within: ioarea.Forever}, nil
		}
		n := 2 + int(binary.BigEndian.Uint16(a.In.Peek(2)))
		if a.In.Len() < n {
			return ioarea.Next{Min: n, Within: 10 * time.Second}, nil
		}
		if err := a.Out.Append(10*time.Second, bytes.ToUpper(a.In.Peek(n)[2:])); err != nil {
			return ioarea.Next{}, err
		}
		a.In.Consume(n)
		return ioarea.Next{}, nil // perhaps the next request is there
	}
	go func() { _ = ioarea.Serve(area, ioarea.HandlerFunc(upper)) }()

	for _, segment := range []string{"\x00\x05he", "llo\x00", "\x06 world"} {
		_, _ = client.Write([]byte(segment))
	}
	_ = client.CloseWrite()
	answer, err := io.ReadAll(client)
	fmt.Printf("%s %v\n", answer, err)
	_ = client.Close()
	fmt.Println(<-ended)
	// Output:
	// HELLO WORLD <nil>
	// <nil>
}

// The two sides of a ring: one reserves and commits, the other peeks and
// consumes. Nothing is copied between them.
func ExampleRing() {
	pool, _ := ioarea.NewPool(64<<10, 64<<10, 0)
	defer pool.Close()
	area, err := pool.Get()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = pool.Put(area) }()
	ring := area.Out

	// The header comes first in the stream, and is written last.
	header, _ := ring.Reserve(2, ioarea.NoWait)
	body, _ := ring.Reserve(100, ioarea.NoWait)
	n := copy(body, "as long as it is")
	binary.BigEndian.PutUint16(header, uint16(n))
	ring.Commit(2 + n)
	ring.Cancel() // what the body did not need
	ring.Close(nil)

	fmt.Println(ring.Wait(2, time.Second))
	size := int(binary.BigEndian.Uint16(ring.Peek(2)))
	ring.Consume(2)
	fmt.Printf("%d: %s\n", size, ring.Peek(size))
	ring.Consume(size)
	fmt.Println(ring.Wait(1, ioarea.Forever))
	// Output:
	// <nil>
	// 16: as long as it is
	// EOF
}

// Poll waits for many areas, for each until its own minimum is there.
func ExamplePoll() {
	pool, _ := ioarea.NewPool(64<<10, 64<<10, 0)
	defer pool.Close()
	entries := make([]ioarea.PollEntry, 3)
	for i := range entries {
		area, err := pool.Get()
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = pool.Put(area) }()
		entries[i] = ioarea.PollEntry{Area: area, Min: 10 * (i + 1)}
	}
	// The receive threads: 15 bytes for the first two, the end for the third.
	for _, e := range entries[:2] {
		_ = e.Area.In.Append(ioarea.NoWait, make([]byte, 15))
	}
	entries[2].Area.In.Close(nil)

	n, err := ioarea.Poll(entries, ioarea.Forever)
	fmt.Println(n, err)
	for _, e := range entries {
		fmt.Println(e.Min, e.Ready, e.Err)
	}
	// Output:
	// 2 <nil>
	// 10 true <nil>
	// 20 false <nil>
	// 30 true EOF
}

// connect is a connection over loopback.
func connect() (server, client *net.TCPConn, err error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	c, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, nil, err
	}
	s, err := l.AcceptTCP()
	return s, c, err
}
