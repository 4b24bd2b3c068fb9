package smbproto

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// reconfigure exchanges the settings of a peer's server.
func (p *peer) reconfigure(change func(*Config)) Changes {
	p.t.Helper()
	cfg := testConfig(p.dir)
	change(&cfg)
	ch, err := p.srv.Reconfigure(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	return ch
}

func TestSharesComeAndGoWhileAServerServes(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	pub := p.tree
	kept := p.newFile("kept")
	p.want(p.treeMsg(`\\server\new`), wire.StatusBadNetworkName)
	ro := wire.Header(p.want(p.treeMsg(`\\server\ro`), wire.StatusOK)).TreeID()
	p.tree = ro
	lost := p.open("kept", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	newDir := t.TempDir()
	ch := p.reconfigure(func(c *Config) {
		c.Shares = []Share{c.Shares[0], {Name: "new", Path: newDir, Comment: "new"}}
	})
	if !slices.Equal(ch.Added, []string{"new"}) || !slices.Equal(ch.Removed, []string{"ro"}) || len(ch.Changed) != 0 || ch.Ended != 1 {
		t.Errorf("%+v", ch)
	}
	p.want(p.readMsg(lost, 0, 1), wire.StatusNetworkNameDeleted)
	p.want(p.createMsg("kept", opening{wire.AccessReadData, shareAll, wire.Open, 0}), wire.StatusNetworkNameDeleted)
	p.want(p.treeMsg(`\\server\ro`), wire.StatusBadNetworkName)
	p.tree = pub
	p.want(p.writeMsg(kept, 0, []byte("still")), wire.StatusOK)
	p.tree = wire.Header(p.want(p.treeMsg(`\\server\new`), wire.StatusOK)).TreeID()
	p.newFile("there")
	if _, err := os.Stat(filepath.Join(newDir, "there")); err != nil {
		t.Error(err)
	}
	if n := len(p.srv.settings().list); n != 3 {
		t.Errorf("%d shares are listed, want new, pub and IPC$", n)
	}
}

// Who is connected to a share that changes goes on with it as it was, also once its settings are gone.
func TestAShareThatChangesIsAsItWasForItsTrees(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	was := p.srv.settings().shares["PUB"]
	other := t.TempDir()
	ch := p.reconfigure(func(c *Config) { c.Shares[0].Path, c.Shares[0].ReadOnly = other, true })
	if !slices.Equal(ch.Changed, []string{"pub"}) || len(ch.Added)+len(ch.Removed)+ch.Ended != 0 {
		t.Errorf("%+v", ch)
	}
	p.newFile("old")
	if p.content("old") != "" {
		t.Error("the file is not empty")
	}
	old := p.tree
	p.tree = wire.Header(p.want(p.treeMsg(`\\server\pub`), wire.StatusOK)).TreeID()
	if _, s := p.tryOpen("new", opening{access: wire.AccessWriteData, share: shareAll, disposition: wire.Create}); s != wire.StatusAccessDenied {
		t.Errorf("a file is made on a share that is only read: %v", s)
	}
	p.tree = old
	id := p.newFile("more")
	p.want(p.request(wire.CommandTreeDisconnect, 4, func([]byte) {}), wire.StatusOK)
	if n := was.holders.Load(); n != 0 {
		t.Errorf("%d hold the share's directory that nobody uses", n)
	}
	p.want(p.readMsg(id, 0, 1), wire.StatusNetworkNameDeleted)
	p.reconfigure(func(c *Config) { c.Shares = c.Shares[1:] })
	p.want(p.treeMsg(`\\server\pub`), wire.StatusBadNetworkName)
}

// A directory that has come in the place of a share's is served once the settings are read again.
func TestAShareIsOfTheDirectoryThatItsPathLeadsTo(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	was := p.tree
	if err := os.Rename(p.dir, p.dir+".old"); err != nil {
		t.Fatal(err)
	}
	if ch := p.reconfigure(func(*Config) {}); len(ch.Changed) != 0 {
		t.Errorf("there is no other: %+v", ch)
	}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ch := p.reconfigure(func(*Config) {})
	if !slices.Equal(ch.Changed, []string{"pub", "ro"}) || len(ch.Added)+len(ch.Removed)+ch.Ended != 0 {
		t.Errorf("%+v", ch)
	}
	if ch := p.reconfigure(func(*Config) {}); len(ch.Changed) != 0 {
		t.Errorf("nothing has changed since: %+v", ch)
	}
	p.tree = wire.Header(p.want(p.treeMsg(`\\server\pub`), wire.StatusOK)).TreeID()
	p.close(p.newFile("new"))
	p.tree = was
	p.close(p.newFile("old"))
	for _, path := range []string{p.dir + "/new", p.dir + ".old/old"} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestLogOnsAreByTheSettingsOfNow(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.reconfigure(func(c *Config) { c.Auth.Guest, c.Auth.ServerName, c.Limits.MaxFiles = false, "OTHER", 2 })
	if name := p.srv.settings().cfg.Auth.ServerName; name != "FILES" {
		t.Errorf("the server's name became %q", name)
	}
	session := p.session
	p.session = 0
	r := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	p.session = wire.Header(r).SessionID()
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusLogonFailure)
	p.session = session // which stays
	p.newFile("one")
	p.newFile("two")
	if _, s := p.tryOpen("one", opening{wire.AccessReadData, shareAll, wire.Open, 0}); s != wire.StatusTooManyOpenedFiles {
		t.Errorf("a third file: %v", s)
	}
}

func TestWrongSettingsChangeNothing(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	was := p.srv.settings()
	for name, change := range map[string]func(*Config){
		"no directory": func(c *Config) { c.Shares = append(c.Shares, Share{Name: "x", Path: filepath.Join(p.dir, "none")}) },
		"twice":        func(c *Config) { c.Shares = append(c.Shares, c.Shares[0]) },
		"a limit":      func(c *Config) { c.Limits.MaxOpens = -1 },
		"dialects":     func(c *Config) { c.MinDialect, c.MaxDialect = wire.Dialect311, wire.Dialect202 },
	} {
		cfg := testConfig(p.dir)
		change(&cfg)
		if _, err := p.srv.Reconfigure(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := cfg.Check(); err == nil {
			t.Errorf("%s: no error of Check", name)
		}
	}
	if err := testConfig(p.dir).Check(); err != nil {
		t.Errorf("what is served is refused by Check: %v", err)
	}
	if p.srv.settings() != was {
		t.Error("the settings are others")
	}
	p.newFile("file")
}

func TestSettingsMayChangeUnderRequests(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	var peers []*peer
	for range 3 {
		peers = append(peers, connect(t, srv, dir))
	}
	stop := make(chan struct{})
	var changes sync.WaitGroup
	changes.Go(func() {
		for i := 0; ; i++ {
			cfg := testConfig(dir)
			if i%2 == 0 {
				cfg.Shares = cfg.Shares[1:]
			}
			if _, err := srv.Reconfigure(cfg); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	var clients sync.WaitGroup
	for _, p := range peers {
		p.logOn("ro")
		clients.Go(func() {
			for range 100 {
				h := wire.Header(p.ask(p.treeMsg(`\\server\pub`)))
				if h.Status() != wire.StatusOK {
					continue
				}
				p.tree = h.TreeID()
				id, s := p.tryOpen("file", opening{access: wire.AccessReadData, share: shareAll, disposition: wire.OpenIf})
				if s == wire.StatusOK {
					p.ask(p.closeMsg(id))
				}
				p.ask(p.request(wire.CommandTreeDisconnect, 4, func([]byte) {}))
			}
		})
	}
	clients.Wait()
	close(stop)
	changes.Wait()
	var errs []error
	for _, p := range peers {
		errs = append(errs, p.c.Close())
		p.c = nil
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if n := srv.counters.trees.Load(); n != 0 {
		t.Errorf("%d trees are left", n)
	}
	for name, sh := range srv.settings().shares {
		if n := sh.holders.Load(); n != 1 {
			t.Errorf("share %s: %d holders, want the settings alone", name, n)
		}
	}
}

// A share takes with it what is kept of it, also what a session that is just ending was about to leave.
func TestNothingIsKeptOfAShareThatIsGone(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	o := p.openOf(p.openDurable("file", anyOpen))
	o.mu.Lock() // so the session ends up to here
	ended := make(chan bool)
	go func() {
		defer close(ended)
		p.hangUp()
	}()
	for p.srv.Stats().Sessions > 0 {
		runtime.Gosched()
	}
	p.reconfigure(func(c *Config) { c.Shares = c.Shares[1:] })
	o.mu.Unlock()
	<-ended
	if n := p.disconnected(); n != 0 {
		t.Errorf("%d opens are kept", n)
	}
}
