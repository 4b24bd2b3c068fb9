package main

import (
	"fmt"
	"slices"
	"strings"

	"ustack/cmd/ustack/compare"
)

// Why --with takes no flag of a kind.
const (
	whyPlace  = "where the server runs and is found, and what it serves, is the comparison's"
	whyCPU    = "the server has one processor, as its baselines have"
	whyEnds   = "all contenders use the same at both ends"
	whyBytes  = "what is done with the bytes is the workload's, and its baselines do the same"
	whyClient = "how the client logs on is the workload's"
	whySample = "what is asked of the server while it is measured is the comparison's"
)

// notWith are the flags of "ustack serve" that would measure something else than one change of the server.
var notWith = map[string]string{
	"stack": whyPlace, "tap": whyPlace, "addr": whyPlace, "host-addr": whyPlace, "gateway": whyPlace, "port": whyPlace,
	"user": whyPlace, "config": whyPlace, "share": whyPlace, "bytes": whyPlace, "until-closed": whyPlace,
	"cpu": whyCPU, "procs": whyCPU, "shards": whyCPU,
	"congestion": whyEnds,
	"check":      whyBytes, "fill": whyBytes,
	"user-file": whyClient, "keytab": whyClient, "guest": whyClient, "no-guest": whyClient, "encrypt": whyClient,
	"require-signing": whyClient, "min-protocol": whyClient, "max-protocol": whyClient,
	"control": whySample, "totals": whySample, "help": whySample,
}

// checkWith refuses flags that are none of the server's, or not --with's to give, before anything is measured.
func checkWith(with []string, steps []compare.Step) error {
	for _, arg := range with {
		flag, ok := strings.CutPrefix(arg, "--")
		if !ok || flag == "" {
			return fmt.Errorf("--with %q: want a flag, with its value behind '=', as --with=--spin=-1ns", arg)
		}
		flag, _, _ = strings.Cut(flag, "=")
		if why := notWith[flag]; why != "" {
			return fmt.Errorf("--with %q: not --%s: %s", arg, flag, why)
		}
	}
	if len(with) == 0 {
		return nil
	}
	var parsed []string
	for i := range steps {
		service := steps[i].Service
		if slices.Contains(parsed, service) {
			continue
		}
		parsed = append(parsed, service)
		args := []string{"serve", service, "--addr", "10.77.0.2/24"}
		if service == "smb" {
			args = append(args, "--share", shareName+"=/")
		}
		if _, err := newParser(new(cli)).Parse(append(args, with...)); err != nil {
			return fmt.Errorf("--with: ustack serve %s: %w", service, err)
		}
	}
	return nil
}
