package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Help says which words a Show takes from In.
const Help = `publish NAME VERSION [bad]   publish checkout, cart or worker; a bad one fails from canary on
quit                         end the demo`

func welcome(w *World) string {
	page := w.GitHubURL + "/" + Repository
	return `checkout 1.1.0 is on its way: dev, staging, canary, prod-eu, prod-us, a pull request each.
What is yours to do, at ` + page + `/pulls (choose who you are at the top):
  1. merge "Name rung's ledger in rung.yaml", as alice;
  2. approve the promotion to prod-eu when it is there, as bob (carol's build caused it, so carol can't);
  3. publish a bad version, watch it fail in canary, and comment /rollback on its pull request.
Here you can say:
` + Help
}

// publish publishes a version and tells of it.
func publish(ctx context.Context, w *World, t *teller, artifact promotion.Artifact, version promotion.Version, bad bool) error {
	digest, err := w.Publish(ctx, artifact, version, bad)
	if err != nil {
		return err
	}
	tellPublished(t, artifact, version, digest)
	return nil
}

func tellPublished(t *teller, artifact promotion.Artifact, version promotion.Version, digest promotion.Digest) {
	t.tell(Step{
		Kind: StepPublished, Artifact: artifact, Version: version, Digest: digest, By: Carol,
		Text: fmt.Sprintf("carol's build publishes %s %s (%s)", artifact, version, digest.Short()),
	})
}

// converse takes words from In until they say quit or ctx ends. The end of In
// is not the end of the show.
func (s Show) converse(ctx context.Context, w *World, t *teller) {
	quit := make(chan struct{})
	if s.In != nil {
		go func() {
			lines := bufio.NewScanner(s.In)
			for lines.Scan() {
				done, err := s.hear(ctx, w, t, lines.Text())
				if err != nil {
					t.say("%v", err)
				}
				if done {
					close(quit)
					return
				}
			}
		}()
	}
	select {
	case <-ctx.Done():
	case <-quit:
	}
}

// hear does what one line asks for.
func (s Show) hear(ctx context.Context, w *World, t *teller, line string) (quit bool, err error) {
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
		return false, nil
	case len(words) == 1 && (words[0] == "quit" || words[0] == "exit"):
		return true, nil
	case words[0] == "publish" && (len(words) == 3 || len(words) == 4 && words[3] == "bad"):
		artifact := promotion.Artifact(words[1])
		if _, known := initialVersions[artifact]; !known {
			return false, fmt.Errorf("there is no artifact %q: publish checkout, cart or worker", words[1])
		}
		version, err := promotion.ParseVersion(words[2])
		if err != nil {
			return false, err
		}
		return false, publish(ctx, w, t, artifact, version, len(words) == 4)
	}
	return false, errors.New("say one of:\n" + Help)
}

// ready asks a rung whether it has found its repositories.
func ready(ctx context.Context, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, nil //nolint:nilerr // it does not listen yet
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode == http.StatusOK, nil
}
