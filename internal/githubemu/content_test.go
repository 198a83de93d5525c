package githubemu_test

import (
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
)

// TestGitData builds a commit from its parts, and leaves base_tree out once.
func TestGitData(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	main := w.tip("main")
	blob, _, err := w.bot.Git.CreateBlob(ctx, "acme", "shop", &github.Blob{Content: github.String("aW1hZ2U6IHNob3A6Mg=="), Encoding: github.String("base64")})
	w.ok(err)
	entries := []*github.TreeEntry{
		{Path: github.String("env/dev/app.yaml"), Mode: github.String("100644"), Type: github.String("blob"), SHA: blob.SHA},
		{Path: github.String("new/file"), Mode: github.String("100644"), Type: github.String("blob"), Content: github.String("x")},
	}
	tree, _, err := w.bot.Git.CreateTree(ctx, "acme", "shop", main, entries)
	w.ok(err)
	bare, _, err := w.bot.Git.CreateTree(ctx, "acme", "shop", "", entries)
	w.ok(err)
	for sha, want := range map[string]int{tree.GetSHA(): 4, bare.GetSHA(): 2} {
		got, _, err := w.bot.Git.GetTree(ctx, "acme", "shop", sha, true)
		w.ok(err)
		blobs := 0
		for _, e := range got.Entries {
			if e.GetType() == "blob" {
				blobs++
			}
		}
		equal(t, "files", blobs, want)
	}
	cm, _, err := w.bot.Git.CreateCommit(ctx, "acme", "shop", &github.Commit{Message: github.String("promote"), Tree: tree, Parents: []*github.Commit{{SHA: &main}}}, nil)
	w.ok(err)
	equal(t, "verified", cm.GetVerification().GetVerified(), true)
	equal(t, "signed by GitHub", strings.HasPrefix(cm.GetVerification().GetSignature(), "-----BEGIN PGP SIGNATURE-----\n"), true)
	equal(t, "author and committer", cm.GetAuthor().GetName()+", "+cm.GetCommitter().GetName(), "rung[bot], GitHub")
	own, _, err := w.bot.Git.CreateCommit(ctx, "acme", "shop", &github.Commit{
		Message: github.String("promote"), Tree: tree, Parents: []*github.Commit{{SHA: &main}},
		Author: &github.CommitAuthor{Name: github.String("x"), Email: github.String("x@example.com")},
	}, nil)
	w.ok(err)
	equal(t, "with an author of its own", own.GetVerification().GetVerified(), false)

	ref := func(name, sha string) *github.Reference {
		return &github.Reference{Ref: github.String("refs/heads/" + name), Object: &github.GitObject{SHA: &sha}}
	}
	_, _, err = w.bot.Git.CreateRef(ctx, "acme", "shop", ref("a/b", cm.GetSHA()))
	w.ok(err)
	equal(t, "read", w.file("a/b", "env/dev/app.yaml"), "image: shop:2")
	_, _, err = w.bot.Git.CreateRef(ctx, "acme", "shop", ref("a/b", main))
	w.refused(err, 422, "Reference already exists")
	_, _, err = w.bot.Git.CreateRef(ctx, "acme", "shop", ref("c", strings.Repeat("1", 40)))
	w.refused(err, 422, "Object does not exist")
	_, _, err = w.bot.Git.CreateRef(ctx, "acme", "shop", ref("bad..name", main))
	w.refused(err, 422, "Reference name")
	_, _, err = w.bot.Git.UpdateRef(ctx, "acme", "shop", ref("a/b", own.GetSHA()), false)
	w.refused(err, 422, "Update is not a fast forward")
	_, _, err = w.bot.Git.UpdateRef(ctx, "acme", "shop", ref("a/b", own.GetSHA()), true)
	w.ok(err)
	_, err = w.bot.Git.DeleteRef(ctx, "acme", "shop", "heads/a/b")
	w.ok(err)
	_, err = w.bot.Git.DeleteRef(ctx, "acme", "shop", "heads/a/b")
	w.refused(err, 422, "Reference does not exist")
	refs, _, err := w.bot.Git.ListMatchingRefs(ctx, "acme", "shop", &github.ReferenceListOptions{Ref: "heads/m"})
	w.ok(err)
	equal(t, "matching", len(refs), 1)
}

// TestContents reads, writes and deletes files through the API.
func TestContents(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	repos := w.bot.Repositories
	f, _, _, err := repos.GetContents(ctx, "acme", "shop", "README.md", nil)
	w.ok(err)
	_, _, err = repos.UpdateFile(ctx, "acme", "shop", "README.md", &github.RepositoryContentFileOptions{Message: github.String("x"), Content: []byte("new"), SHA: github.String(strings.Repeat("2", 40))})
	w.refused(err, 409, "does not match")
	got, _, err := repos.UpdateFile(ctx, "acme", "shop", "README.md", &github.RepositoryContentFileOptions{Message: github.String("x"), Content: []byte("new"), SHA: f.SHA})
	w.ok(err)
	equal(t, "signed by GitHub", got.GetVerification().GetVerified(), true)
	equal(t, "written", w.file("main", "README.md"), "new")
	_, _, err = repos.CreateFile(ctx, "acme", "shop", "deep/er/file", &github.RepositoryContentFileOptions{Message: github.String("x"), Content: []byte("1")})
	w.ok(err)
	_, dir, _, err := repos.GetContents(ctx, "acme", "shop", "deep", nil)
	w.ok(err)
	equal(t, "directory", dir[0].GetType(), "dir")
	df, _, _, err := repos.GetContents(ctx, "acme", "shop", "deep/er/file", nil)
	w.ok(err)
	_, _, err = repos.DeleteFile(ctx, "acme", "shop", "deep/er/file", &github.RepositoryContentFileOptions{Message: github.String("x"), SHA: df.SHA})
	w.ok(err)
	_, _, _, err = repos.GetContents(ctx, "acme", "shop", "deep", nil)
	w.refused(err, 404, "Not Found")

	c, _, err := repos.GetCommit(ctx, "acme", "shop", "main", nil)
	w.ok(err)
	equal(t, "files", c.Files[0].GetStatus(), "removed")
	l, _, err := repos.ListCommits(ctx, "acme", "shop", &github.CommitsListOptions{Path: "README.md"})
	w.ok(err)
	equal(t, "commits of a path", len(l), 2)
	b, _, err := repos.GetBranch(ctx, "acme", "shop", "main", 0)
	w.ok(err)
	equal(t, "branch", b.GetCommit().GetSHA(), w.tip("main"))
	bs, _, err := repos.ListBranches(ctx, "acme", "shop", nil)
	w.ok(err)
	equal(t, "branches", len(bs), 1)
}

func TestPullFiles(t *testing.T) {
	w := newWorld(t)
	w.branch("topic", "env/dev/app.yaml", "image: shop:2\n")
	w.branch("topic", "added", "one\ntwo\n")
	n := w.open("topic").GetNumber()
	files, _, err := w.bot.PullRequests.ListFiles(t.Context(), "acme", "shop", n, nil)
	w.ok(err)
	equal(t, "files", len(files), 2)
	equal(t, "patch", files[0].GetPatch(), "@@ -0,0 +1,2 @@\n+one\n+two")
	equal(t, "patch", files[1].GetPatch(), "@@ -1 +1 @@\n-image: shop:1\n+image: shop:2")
	commits, _, err := w.bot.PullRequests.ListCommits(t.Context(), "acme", "shop", n, nil)
	w.ok(err)
	equal(t, "oldest first", commits[0].GetCommit().GetMessage(), "change env/dev/app.yaml\n")
	p, _, err := w.bot.PullRequests.Get(t.Context(), "acme", "shop", n)
	w.ok(err)
	equal(t, "sums", show([]int{p.GetAdditions(), p.GetDeletions(), p.GetChangedFiles(), p.GetCommits()}), "[3 1 2 2]")
}

// TestRulesAPI shows rules to those who ask.
func TestRulesAPI(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ok(w.s.SetRules(full,
		githubemu.Ruleset{Name: "set", RequiredReviews: 2, SignedCommits: true, RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}}},
		githubemu.Ruleset{Protection: true, LinearHistory: true}))
	rules, _, err := w.bot.Repositories.GetRulesForBranch(ctx, "acme", "shop", "main")
	w.ok(err)
	var kinds []string
	for _, r := range rules {
		kinds = append(kinds, r.Type)
	}
	equal(t, "kinds", strings.Join(kinds, " "), "required_signatures pull_request required_status_checks")
	sets, _, err := w.bot.Repositories.GetAllRulesets(ctx, "acme", "shop", false)
	w.ok(err)
	equal(t, "sets", len(sets), 1)
	_, _, err = w.bot.Repositories.GetBranchProtection(ctx, "acme", "shop", "main")
	w.refused(err, 403, "Resource not accessible by integration")
	p, _, err := w.as("ann").Repositories.GetBranchProtection(ctx, "acme", "shop", "main")
	w.ok(err)
	equal(t, "linear", p.GetRequireLinearHistory().Enabled, true)
	inst, _, err := w.bot.Apps.ListRepos(ctx, nil)
	w.ok(err)
	equal(t, "repositories", inst.GetTotalCount(), 1)
	found, _, err := w.app.Apps.FindRepositoryInstallation(ctx, "acme", "shop")
	w.ok(err)
	equal(t, "installation", found.GetID(), w.inst)
}
