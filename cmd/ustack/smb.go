package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/term"

	"ustack/smbproto/auth"
)

type smbCmd struct {
	User smbUserCmd `cmd:"" help:"Manage the file of users."`
}

type smbUserCmd struct {
	Add    smbUserAddCmd    `cmd:"" help:"Add a user, or change the password of one."`
	Remove smbUserRemoveCmd `cmd:"" help:"Remove a user."`
	List   smbUserListCmd   `cmd:"" help:"List the users."`
}

type userFileFlag struct {
	UserFile string `help:"File of users. It holds NT hashes, which are as good as passwords: mode 0600." required:"" type:"path"`
}

type smbUserAddCmd struct {
	userFileFlag
	Name     string  `arg:"" help:"User name."`
	Password *string `help:"Password (default: asked for on the terminal). Other users of this machine can see command lines."`
}

func (c *smbUserAddCmd) Help() string {
	return `
Example:

  ustack smb user add --user-file users alice
`
}

func (c *smbUserAddCmd) Run() error {
	users, err := auth.OpenUserFile(c.UserFile)
	if errors.Is(err, fs.ErrNotExist) {
		users, err = auth.CreateUserFile(c.UserFile)
	}
	if err != nil {
		return err
	}
	password, err := c.password()
	if err != nil {
		return err
	}
	return users.Add(c.Name, password)
}

func (c *smbUserAddCmd) password() (string, error) {
	if c.Password != nil {
		return *c.Password, nil
	}
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", errors.New("no terminal to ask for the password on: give --password")
	}
	var answers [2][]byte
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(os.Stderr, prompt)
		b, err := term.ReadPassword(fd)
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

type smbUserListCmd struct{ userFileFlag }

func (c *smbUserListCmd) Run() error {
	users, err := auth.OpenUserFile(c.UserFile)
	if err != nil {
		return err
	}
	for _, name := range users.Names() {
		fmt.Println(name)
	}
	return nil
}
