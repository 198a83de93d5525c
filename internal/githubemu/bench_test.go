package githubemu_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// BenchmarkPromotion is one branch, pull request, check and merge, with a
// GraphQL read between and the webhooks made and discarded: the emulator's own
// cost in a simulation.
func BenchmarkPromotion(b *testing.B) {
	s, err := githubemu.New(githubemu.Config{
		Store: gitmem.New(gitstore.Options{}), BaseURL: "http://emu.test", Manual: true,
		App: githubemu.App{ID: appID, Slug: "rung"},
	})
	if err != nil {
		b.Fatal(err)
	}
	token := s.AddPerson(githubemu.Person{Login: "ann"})
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("env/%d/app.yaml", i)] = "image: shop:1\n"
	}
	if err := s.CreateRepository(b.Context(), githubemu.RepositorySeed{
		Name: full, Collaborators: map[string]string{"ann": "admin"},
		Commits: []githubemu.CommitSeed{{Files: files}},
	}); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Install("acme"); err != nil {
		b.Fatal(err)
	}
	query := []byte(fmt.Sprintf(`{"query":%q,"variables":{"owner":"acme","name":"shop","n":1,"oid":"%040d"}}`, everything, 0))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		branch := fmt.Sprintf("b%d", i)
		sha, err := s.PushFiles(b.Context(), githubemu.Push{Repository: full, Person: "ann", Branch: branch, Files: map[string]string{"env/1/app.yaml": branch}})
		if err != nil {
			b.Fatal(err)
		}
		n, err := s.OpenPull(b.Context(), full, "ann", branch, "", "promote", "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.ReportCheck(b.Context(), githubemu.CheckReport{Repository: full, App: "ci", SHA: sha, Name: "ci", Conclusion: "success"}); err != nil {
			b.Fatal(err)
		}
		req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://emu.test/api/graphql", bytes.NewReader(query))
		req.Header.Set("Authorization", "bearer "+token)
		if _, err := s.Transport().RoundTrip(req); err != nil { //nolint:bodyclose // in memory
			b.Fatal(err)
		}
		if _, err := s.Merge(b.Context(), full, n, "ann", ""); err != nil {
			b.Fatal(err)
		}
		for _, d := range s.Pending() {
			_ = s.Discard(d.ID, true)
		}
	}
}
