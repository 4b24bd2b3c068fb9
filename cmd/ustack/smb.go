package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"

	"ustack/smbproto"
	"ustack/smbproto/auth"
)

type smbCmd struct {
	User smbUserCmd `cmd:"" help:"Manage the file of users."`
}

type smbUserCmd struct {
	Add    smbUserAddCmd    `cmd:"" help:"Add a user, or change the password of one."`
	Remove smbUserRemoveCmd `cmd:"" help:"Remove a user."`
	List   smbUserListCmd   `cmd:"" help:"List the users, and their SIDs."`
}

type userFileFlag struct {
	UserFile string `help:"File of users. It holds NT hashes, which are as good as passwords: mode 0600." required:"" type:"path"`
}

type smbUserAddCmd struct {
	userFileFlag
	Name          string  `arg:"" help:"User name."`
	Password      *string `help:"Password (default: asked for on the terminal). Other users of this machine can see command lines." xor:"password"`
	PasswordStdin bool    `help:"Read the password, one line, from standard input." xor:"password"`
}

func (c *smbUserAddCmd) Help() string {
	return `
Examples:

  ustack smb user add --user-file users alice
  pass show alice | ustack smb user add --user-file users --password-stdin alice
`
}

func (c *smbUserAddCmd) Run(ctx context.Context) error {
	password, err := c.password(ctx)
	if err != nil {
		return err
	}
	if err := auth.CheckUser(c.Name, password); err != nil {
		return err
	}
	users, err := openOrCreate(c.UserFile)
	if err != nil {
		return err
	}
	did := "added"
	if _, known := users.Lookup(c.Name); known {
		did = "changed"
	}
	if err := users.Add(c.Name, password); err != nil {
		return err
	}
	fmt.Println(did, c.Name)
	return nil
}

func openOrCreate(path string) (*auth.UserFile, error) {
	users, err := auth.OpenUserFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		users, err = auth.CreateUserFile(path)
	}
	if errors.Is(err, fs.ErrExist) { // made meanwhile
		users, err = auth.OpenUserFile(path)
	}
	return users, err
}

func (c *smbUserAddCmd) password(ctx context.Context) (string, error) {
	if c.Password != nil {
		return *c.Password, nil
	}
	if c.PasswordStdin {
		return readLine(ctx, os.Stdin)
	}
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", errors.New("no terminal to ask for the password on: give --password-stdin")
	}
	var answers [2][]byte
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(os.Stderr, prompt)
		b, err := readPassword(ctx, fd)
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		answers[i] = b
	}
	if !bytes.Equal(answers[0], answers[1]) {
		return "", errors.New("the two passwords differ")
	}
	return string(answers[0]), nil
}

// readPassword reads a line without echo. When ctx ends first, the terminal is left as it was,
// and the read to the end of the process.
func readPassword(ctx context.Context, fd int) ([]byte, error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	text, err := unlessDone(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), term.Restore(fd, state))
	}
	return text, err
}

// mostInput bounds what is read for a password: it is more than one may have.
const mostInput = 4 << 10

// readLine reads a line, of which the end may be missing.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	b, err := unlessDone(ctx, func() ([]byte, error) { return bufio.NewReader(io.LimitReader(r, mostInput)).ReadBytes('\n') })
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// unlessDone returns what read does, unless ctx ends first.
func unlessDone(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	got := make(chan result, 1)
	go func() {
		b, err := read()
		got <- result{b, err}
	}()
	select {
	case r := <-got:
		return r.b, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type smbUserRemoveCmd struct {
	userFileFlag
	Name string `arg:"" help:"User name."`
}

func (c *smbUserRemoveCmd) Run() error {
	users, err := auth.OpenUserFile(c.UserFile)
	if err != nil {
		return err
	}
	return users.Remove(c.Name)
}

type smbUserListCmd struct {
	userFileFlag
	Name       string `help:"NetBIOS name of the server, of which SIDs come (default: this machine's)."`
	MachineSID string `name:"machine-sid" help:"SID that the SIDs of users begin with, where the server is given one."`
}

func (c *smbUserListCmd) Help() string {
	return `
Each line has a name and, behind a tab, the SID that names the user in security descriptors. --name and --machine-sid are to be
as 'ustack serve smb' is given them.
`
}

func (c *smbUserListCmd) Run() error {
	machine, err := parseMachineSID("--machine-sid", c.MachineSID)
	if err == nil {
		err = checkServerName("--name", c.Name)
	}
	if err != nil {
		return err
	}
	if machine == "" {
		machine = smbproto.MachineSID(cmp.Or(c.Name, netbiosName()))
	}
	users, err := auth.OpenUserFile(c.UserFile)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for _, name := range users.Names() {
		fmt.Fprintf(out, "%s\t%v\n", name, smbproto.UserSID(machine, name))
	}
	return out.Flush()
}
