package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"time"
)

// openLine is what a load says that holds.
const openLine = "open"

// holdFlag lets whoever measures a server take a look at it between the opening of
// connections and their use.
type holdFlag struct {
	Hold bool `help:"When all connections are open, and have carried one message that does not count, say 'open', and go on when a line comes on standard input."`
}

// hold does so, if it is asked for.
func (h holdFlag) hold(conns []*net.TCPConn, size int, longest time.Duration) error {
	if !h.Hold {
		return nil
	}
	if err := firstMessages(conns, size, longest); err != nil {
		return err
	}
	fmt.Println(openLine)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("--hold: nobody said to go on: %w", err)
	}
	return nil
}

// firstMessages exchanges one message on each connection: the server then has all of
// them in hand.
func firstMessages(conns []*net.TCPConn, size int, longest time.Duration) error {
	msg := make([]byte, size)
	for _, conn := range conns {
		if err := roundTrip(conn, msg, time.Now().Add(longest)); err != nil {
			return fmt.Errorf("first message: %w", err)
		}
	}
	return nil
}
