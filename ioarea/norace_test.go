//go:build !race

package ioarea

const raceEnabled = false
