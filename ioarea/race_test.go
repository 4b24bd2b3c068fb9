//go:build race

package ioarea

const raceEnabled = true
