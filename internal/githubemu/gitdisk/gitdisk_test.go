package gitdisk_test

import (
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitdisk"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/storetest"
)

func open(t *testing.T, options gitstore.Options) gitstore.Store {
	t.Helper()
	s, err := gitdisk.New(t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) { storetest.Run(t, open) }
