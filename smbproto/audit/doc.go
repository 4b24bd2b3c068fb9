// Package audit keeps a log of what users do, in a file, one JSON object a line.
//
//	file, err := audit.Open("/var/log/ustack/audit.json", log)
//	...
//	cfg.Audit = audit.NewLogger(file) // of smbproto.Config
//	...
//	err = file.Reopen(path) // when the file has been moved away
//	...
//	err = file.Close() // when nobody logs any more
//
// # What a slow disk does
//
// Who logs never waits for the disk: a line goes to memory, of at most [MaxWaiting] bytes, from which one goroutine, the [File]'s own,
// writes it. While that much waits, further events are lost, but not silently: they are counted, the file gets a line
// {"event":"lost","events":N} where they would have been, and the program's log a warning. A write that fails is tried again every
// second, from the byte at which it failed.
package audit
