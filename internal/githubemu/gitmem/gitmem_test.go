package gitmem_test

import (
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/storetest"
)

func openMemory(*testing.T, gitstore.Options) gitstore.Store {
	return gitmem.New(gitstore.Options{})
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, options gitstore.Options) gitstore.Store { return gitmem.New(options) })
}
