package vfs

import (
	"slices"
	"sync"
	"time"

	"ustack/smbproto/wire"
)

// A program that knows 8.3 names alone saves a file by deleting it and making it anew, and the long name should outlive
// that. So the name of a file that was opened by its 8.3 name is remembered for a while when it is taken away, and a
// file that is made by the 8.3 name gets it (MS-FSA 2.1.1.11, a TunnelCacheEntry with KeyByShortName). The creation time is not
// restored as there: with it, and the inode's number that ext4 uses again, clients would take the new file for the
// old one.

// tunnelFor is how long a name is remembered, and tunnelMost how many of a share are: Windows' defaults.
const (
	tunnelFor  = 15 * time.Second
	tunnelMost = 256
)

// tunnel remembers names. Any goroutine may ask.
type tunnel struct {
	now     func() time.Time
	mu      sync.Mutex
	entries []tunnelEntry // the oldest first
}

type tunnelEntry struct {
	at          time.Time
	dir         ID
	short, long string
}

// remember notes that dir has lost the name long, to one who knows it as short.
func (t *tunnel) remember(dir ID, short, long string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.entries = slices.DeleteFunc(t.entries, func(e tunnelEntry) bool {
		return now.Sub(e.at) >= tunnelFor || e.dir == dir && wire.EqualFold(e.short, short)
	})
	if len(t.entries) == tunnelMost {
		t.entries = slices.Delete(t.entries, 0, 1)
	}
	t.entries = append(t.entries, tunnelEntry{now, dir, short, long})
}

// recall gives the name that a file to be made in dir as name gets: a long one that the directory has lost of late, or the
// same. Nobody has that now, or a file had been found by the 8.3 name.
func (t *tunnel) recall(dir ID, name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, e := range t.entries {
		if e.dir == dir && now.Sub(e.at) < tunnelFor && wire.EqualFold(e.short, name) {
			return e.long
		}
	}
	return name
}

// noteShort notes that the file was asked for by its 8.3 name, if what was found differs in more than case.
func (l *location) noteShort(asked, found Path) {
	_, name := asked.Split()
	if _, base := found.Split(); name != base && !wire.EqualFold(name, base) {
		l.short = name
	}
}

// lost notes that the file loses the name that it was opened by. The caller holds the location's lock.
func (f *File) lost() {
	if f.loc.short != "" && !f.IsDir() {
		f.root.tunnel.remember(f.loc.dir, f.loc.short, f.loc.base)
	}
}
