package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// applications are the sample applications: they run what main names at its
// head, at once, and answer GET /ENVIRONMENT/ARTIFACT/healthz with 200, or 503
// where that release is broken.
type applications struct {
	artifacts []manifest.Artifact

	mu     sync.Mutex
	git    gitstore.Repository
	head   string
	runs   map[promotion.Pair]promotion.Value // at head
	broken map[promotion.Digest][]promotion.Environment
}

func newApplications() *applications {
	return &applications{broken: map[promotion.Digest][]promotion.Environment{}}
}

// open gives the applications their repository and what to look for in it.
func (a *applications) open(git gitstore.Repository, artifacts []manifest.Artifact) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.git, a.artifacts = git, artifacts
}

// breakDown makes a digest fail; no environments means everywhere.
func (a *applications) breakDown(d promotion.Digest, environments []promotion.Environment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken[d] = slices.Clone(environments)
}

func (a *applications) mend(d promotion.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.broken, d)
}

// ServeHTTP answers a health probe.
func (a *applications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 || parts[2] != "healthz" {
		http.NotFound(w, r)
		return
	}
	pair := promotion.Pair{Environment: promotion.Environment(parts[0]), Artifact: promotion.Artifact(parts[1])}
	runs, err := a.live(r.Context())
	if err != nil {
		http.Error(w, "what runs is not known", http.StatusInternalServerError)
		return
	}
	v, ok := runs[pair]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.fails(pair, v) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(w, "%s %s does not work here\n", pair.Artifact, v.Version)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %s works\n", pair.Artifact, v.Version)
}

func (a *applications) fails(pair promotion.Pair, v promotion.Value) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	where, broken := a.broken[v.Digest]
	return broken && (len(where) == 0 || slices.Contains(where, pair.Environment))
}

// live is what main names at its head, by pair.
func (a *applications) live(ctx context.Context) (map[promotion.Pair]promotion.Value, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.git == nil {
		return nil, errors.New("the world is starting")
	}
	refs, err := a.git.Refs(ctx, "refs/heads/main")
	if err != nil {
		return nil, err
	}
	head := refs["refs/heads/main"]
	if head != a.head {
		runs, err := a.read(ctx, head)
		if err != nil {
			return nil, err
		}
		a.head, a.runs = head, runs
	}
	return maps.Clone(a.runs), nil
}

// read finds every artifact's version under environments/ at a commit.
func (a *applications) read(ctx context.Context, head string) (map[promotion.Pair]promotion.Value, error) {
	files, err := filesUnder(ctx, a.git, head, "environments")
	if err != nil {
		return nil, err
	}
	runs := map[promotion.Pair]promotion.Value{}
	for path, data := range files {
		parts := strings.SplitN(path, "/", 3)
		if len(parts) != 3 || !manifest.IsManifest(path) {
			continue
		}
		report, err := manifest.Find(path, data, a.artifacts)
		if err != nil {
			continue // what can't be read is not run
		}
		for _, f := range report.Found {
			runs[promotion.Pair{Environment: promotion.Environment(parts[1]), Artifact: f.Artifact}] = f.Place.Value
		}
	}
	return runs, nil
}

// filesUnder reads the files below a directory at a commit, by path.
func filesUnder(ctx context.Context, git gitstore.Repository, commit, dir string) (map[string][]byte, error) {
	c, err := git.ReadCommit(ctx, commit)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var walk func(tree, prefix string) error
	walk = func(tree, prefix string) error {
		entries, err := git.ReadTree(ctx, tree)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := prefix + e.Name
			if dir != "" && path != dir && !strings.HasPrefix(path, dir+"/") {
				continue
			}
			switch e.Mode {
			case "40000":
				if err := walk(e.ID, path+"/"); err != nil {
					return err
				}
			case "100644", "100755":
				_, data, err := git.ReadObject(ctx, e.ID)
				if err != nil {
					return err
				}
				files[path] = data
			}
		}
		return nil
	}
	return files, walk(c.Tree, "")
}
