package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// validateCommand checks a checkout's configuration and policies.
type validateCommand struct {
	Path string `arg:"" optional:"" default:"." type:"path" help:"Checkout of a GitOps repository."`
	JSON bool   `help:"Print the problems as JSON."`
}

// Run exits 1 when there are problems and 2 when there is nothing to check.
func (c validateCommand) Run(io streams) error {
	root := os.DirFS(c.Path)
	files, policies, err := configuration(root)
	if err != nil {
		return err
	}
	if _, there := files[pipeline.RootFile]; !there {
		return fmt.Errorf("%s has no rung.yaml", c.Path)
	}
	result := pipeline.Load(files, pipeline.Options{PolicyFiles: policies})
	problems := slices.Clone(result.Problems)
	if result.Pipeline != nil {
		bound := map[string][]byte{}
		for _, path := range result.Pipeline.PolicyPaths {
			data, err := fs.ReadFile(root, path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err == nil {
				bound[path] = data
			}
		}
		_, faulty := policy.Compile(bound)
		problems = append(problems, faulty...)
	}
	return c.print(io, result.Pipeline, problems)
}

func (c validateCommand) print(io streams, p *promotion.Pipeline, problems []promotion.ConfigProblem) error {
	if c.JSON {
		if err := json.NewEncoder(io.out).Encode(map[string]any{"ok": len(problems) == 0, "problems": problems}); err != nil {
			return err
		}
	} else {
		for _, problem := range problems {
			fmt.Fprintln(io.out, problem)
		}
	}
	if len(problems) > 0 {
		return doesNotHold
	}
	if !c.JSON {
		var names []string
		for _, e := range p.Environments {
			names = append(names, string(e.Name))
		}
		fmt.Fprintf(io.out, "rung.yaml holds: mode %s, %d artifacts, environments %s\n", p.Mode, len(p.Artifacts), strings.Join(names, ", "))
	}
	return nil
}

// configuration reads rung.yaml and rung.d, and lists the policy files.
func configuration(root fs.FS) (files map[string][]byte, policies []string, err error) {
	files = map[string][]byte{}
	for _, top := range []string{pipeline.RootFile, "rung.d", "policies"} {
		err := fs.WalkDir(root, top, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && path == top:
				return fs.SkipAll
			case err != nil:
				return err
			case d.IsDir():
				return nil
			case strings.HasPrefix(path, "policies/"):
				policies = append(policies, path)
				return nil
			}
			data, err := fs.ReadFile(root, path)
			files[path] = data
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return files, policies, nil
}
