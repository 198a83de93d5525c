package gitmem_test

import (
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitdisk"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/storetest"
)

func inMemory(_ *testing.T, options gitstore.Options) gitstore.Store { return gitmem.New(options) }

func onDisk(t *testing.T, options gitstore.Options) gitstore.Store {
	t.Helper()
	s, err := gitdisk.New(t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) { storetest.Run(t, inMemory) }

func TestAnswersAsStockGitDoes(t *testing.T) { storetest.Compare(t, inMemory, onDisk) }
