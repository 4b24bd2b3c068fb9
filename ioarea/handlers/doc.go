// Package handlers holds small request handlers for experiments: they run over
// any area, so that one of them measures what stands below it.
package handlers
