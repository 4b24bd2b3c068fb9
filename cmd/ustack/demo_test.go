package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTheDemonstrationCountsItsRounds(t *testing.T) {
	for rounds, want := range map[int]string{1: "; 1 round in turn", 3: "; 3 rounds in turn"} {
		one := demoResult{Measurements: rounds, demoInside: &demoInside{}}
		var b strings.Builder
		printDemo(&b, map[string]demoResult{"netstack": one, "kernel": one}, map[string][]demoResult{"netstack": {one}, "kernel": {one}})
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}

// Of Samba's server there is no more than can be seen from outside, and it is no zero.
func TestTheDemonstrationTellsOfSmbdWhatItKnows(t *testing.T) {
	ours := demoResult{PutMBs: 1500, GetMBs: 3000, SHA256OK: true, demoInside: &demoInside{InPlace: 1}}
	theirs := demoResult{PutMBs: 1000, GetMBs: 2000, SHA256OK: true}
	rounds := map[string][]demoResult{"netstack": {ours, ours}, "kernel": {ours, ours}, "smbd": {theirs, theirs}}
	results := map[string]demoResult{}
	for key, rs := range rounds {
		results[key] = medians(rs)
	}
	var b strings.Builder
	printDemo(&b, results, rounds)
	for what, want := range map[string][]string{
		"get, MB/s":                          {"3000", "3000", "1.00", "(1.00-1.00)", "2000", "1.50", "(1.50-1.50)"},
		"user-space copies per byte, inward": {"0.0000", "0.0000"},
		"payload placed by the device":       {"100.00%", "100.00%"},
		"SHA-256":                            {"as", "sent", "as", "sent", "as", "sent"},
	} {
		_, line, ok := strings.Cut(b.String(), "\n"+what+" ")
		line, _, _ = strings.Cut(line, "\n")
		if got := strings.Fields(line); !ok || strings.HasSuffix(line, " ") || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q in\n%s", what, got, want, b.String())
		}
	}
	j, err := json.Marshal(results)
	if n := strings.Count(string(j), "copies_in_per_byte"); err != nil || n != 2 {
		t.Errorf("%d servers have told of copies, want 2: %s, %v", n, j, err)
	}
}

// What the demonstration says when it fails has a cause, whether the client failed or what
// it was asked.
func TestAFailedDemonstrationSaysWhy(t *testing.T) {
	d := &demoRun{cmd: &demoCmd{Smbclient: "smbclient"}}
	for _, c := range []struct {
		out  string
		err  error
		done bool
		want string
	}{
		{"", nil, true, ""},
		{"NT_STATUS_ACCESS_DENIED\n", nil, false, "smbclient: ls: not done: NT_STATUS_ACCESS_DENIED"},
		{"no route\n", errors.New("exit status 1"), true, "smbclient: ls: exit status 1: no route"},
		{"", errors.New("exit status 1"), false, "smbclient: ls: exit status 1: "},
	} {
		got := ""
		if err := d.said("ls", c.out, c.err, c.done); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("said %q, want %q", got, c.want)
		}
	}
}
