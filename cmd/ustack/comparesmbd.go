package main

import (
	"context"
	"errors"
)

func (l lab) startSmbd(ctx context.Context, cpus []int) (contestant, error) {
	return nil, errors.New("not there")
}
