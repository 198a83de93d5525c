package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/api"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

// look is something that can be seen in the world: `until` waits for it, its
// own name as a command asserts it now, and `!` before that its absence. got
// says what is seen instead.
type look struct {
	usage string
	args  [2]int // least and most
	see   func(ctx context.Context, w *world, args []string) (ok bool, got string, err error)
}

var looks = map[string]look{
	"live":        {"live ENVIRONMENT ARTIFACT VERSION: main's files name it, by its digest", [2]int{3, 3}, seeLive},
	"held":        {"held ENVIRONMENT ARTIFACT REGEXP: the board gives a reason", [2]int{3, 3}, seeHeld},
	"settled":     {"settled ENVIRONMENT ARTIFACT good|bad", [2]int{3, 3}, seeSettled},
	"open":        {"open ENVIRONMENT ARTIFACT VERSION: a pull request proposes it", [2]int{3, 3}, seeOpen},
	"pull":        {"pull NUMBER open|closed|merged [PERSON]", [2]int{2, 3}, seePull},
	"check":       {"check NUMBER success|failure|action_required [REGEXP of its text]", [2]int{2, 3}, seeCheck},
	"reply":       {"reply NUMBER REGEXP: rung commented", [2]int{2, 2}, seeReply},
	"explained":   {"explained NUMBER FILE: rung's newest comment is what rung why --json said", [2]int{2, 2}, seeExplained},
	"replies":     {"replies NUMBER COUNT: how often rung commented", [2]int{2, 2}, seeReplies},
	"reaction":    {"reaction NUMBER CONTENT: rung reacted to a comment", [2]int{2, 2}, seeReaction},
	"body":        {"body NUMBER REGEXP: the pull request says", [2]int{2, 2}, seeBody},
	"record":      {"record PATH REGEXP: the ledger's newest record there", [2]int{2, 2}, seeRecord},
	"recorded":    {"recorded REGEXP [COUNT]: subjects of the ledger's commits", [2]int{1, 2}, seeRecorded},
	"quarantined": {"quarantined ARTIFACT VERSION", [2]int{2, 2}, seeQuarantined},
	"branch":      {"branch NAME", [2]int{1, 1}, seeBranch},
	"note":        {"note REGEXP: what the board says of the repository", [2]int{1, 1}, seeNote},
	"board":       {"board REGEXP: the board's page", [2]int{1, 1}, seeBoard},
	"asked":       {"asked COUNT: calls of GitHub's API by rung since forget-counts", [2]int{1, 1}, seeAsked},
	"fetched":     {"fetched COUNT: at most so many requests of git since forget-counts, people's included", [2]int{1, 1}, seeFetched},
	"file":        {"file PATH REGEXP: main holds it", [2]int{2, 2}, seeFile},
	"linked":      {"linked PROPOSES AUTHORIZES: the two branches cite each other, so many times", [2]int{2, 2}, seeLinked},
	"pulls":       {"pulls COUNT: open pull requests of promotions", [2]int{1, 1}, seePulls},
}

func seeLive(ctx context.Context, w *world, args []string) (bool, string, error) {
	v, err := w.live(ctx, args[0], args[1])
	if err != nil {
		return false, err.Error(), nil
	}
	d, err := w.digest(args[1] + ":" + args[2])
	return string(v.Version) == args[2] && (v.Digest == "" || string(v.Digest) == d), fmt.Sprintf("%s at %s", v.Version, v.Digest.Short()), err
}

// pairState is what rung last thought of a pair.
func pairState(ctx context.Context, w *world, env, artifact string) (promotion.PairState, error) {
	v, err := w.rung.view(ctx)
	for _, p := range v.Pairs {
		if string(p.Pair.Environment) == env && string(p.Pair.Artifact) == artifact {
			return p, err
		}
	}
	return promotion.PairState{}, err
}

func seeHeld(ctx context.Context, w *world, args []string) (bool, string, error) {
	st, err := pairState(ctx, w, args[0], args[1])
	if err != nil {
		return false, "", err
	}
	said := []string{st.Sentence}
	for _, v := range st.Verdicts {
		if v.Status != promotion.StatusPass {
			said = append(said, v.Gate+": "+v.Sentence)
			for _, r := range v.Rules {
				said = append(said, r.Message)
			}
		}
	}
	text := strings.Join(said, "\n")
	ok, err := regexp.MatchString(args[2], text)
	return ok && st.Phase != promotion.PhaseIdle && st.Phase != promotion.PhaseReady, st.Phase + ": " + text, err
}

func seeSettled(ctx context.Context, w *world, args []string) (bool, string, error) {
	st, err := pairState(ctx, w, args[0], args[1])
	return st.Settled == args[2], st.Settled, err
}

// promotionPull is the newest pull request of a pair's branch.
func (w *world) promotionPull(ctx context.Context, env, artifact string) (githubemu.PullState, error) {
	st, err := w.state(ctx)
	for _, p := range slices.Backward(st.Pulls) {
		if p.Head == "rung/p/"+env+"/"+artifact {
			return p, err
		}
	}
	return githubemu.PullState{}, err
}

func seeOpen(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, err := w.promotionPull(ctx, args[0], args[1])
	return p.State == "open" && slices.Contains(strings.Fields(p.Title), args[2]), fmt.Sprintf("#%d %s: %s", p.Number, p.State, p.Title), err
}

// pullOf finds a pull request by its number, with the whole state.
func (w *world) pullOf(ctx context.Context, number string) (githubemu.PullState, githubemu.RepositoryState, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return githubemu.PullState{}, githubemu.RepositoryState{}, fmt.Errorf("%q is no pull request's number", number)
	}
	st, err := w.state(ctx)
	for _, p := range st.Pulls {
		if p.Number == n {
			return p, st, err
		}
	}
	return githubemu.PullState{}, st, fmt.Errorf("there is no pull request %d", n)
}

func seePull(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, _, err := w.pullOf(ctx, args[0])
	by := p.MergedBy + p.ClosedBy
	if p.State == "merged" {
		by = p.MergedBy
	}
	return p.State == args[1] && (len(args) < 3 || by == args[2]), p.State + " " + by, err
}

func seeCheck(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, st, err := w.pullOf(ctx, args[0])
	if err != nil {
		return false, "", err
	}
	pattern := ""
	if len(args) == 3 {
		pattern = args[2]
	}
	got := "no check"
	for _, c := range st.Checks[p.HeadSHA] {
		if c.Name != promotion.CheckName || c.App != "rung" {
			continue
		}
		got = c.Conclusion + " " + c.Title + "\n" + c.Summary
		if ok, err := regexp.MatchString(pattern, c.Title+"\n"+c.Summary); err != nil || ok && c.Conclusion == args[1] {
			return ok, got, err
		}
	}
	return false, got, nil
}

func seeReply(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, _, err := w.pullOf(ctx, args[0])
	var all []string
	for _, c := range p.Comments {
		if c.Author != "rung[bot]" {
			continue
		}
		all = append(all, c.Body)
		if ok, err := regexp.MatchString(args[1], c.Body); ok || err != nil {
			return ok, c.Body, err
		}
	}
	return false, strings.Join(all, "\n"), err
}

func seeExplained(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, _, err := w.pullOf(ctx, args[0])
	if err != nil {
		return false, "", err
	}
	data, err := os.ReadFile(filepath.Join(w.dir, args[1]))
	if err != nil {
		return false, "", err
	}
	var why api.Why
	if err := json.Unmarshal(data, &why); err != nil {
		return false, "", err
	}
	newest := ""
	for _, c := range p.Comments {
		if c.Author == "rung[bot]" {
			newest, _, _ = strings.Cut(c.Body, "<!-- rung reply/") // the mark that it is answered
		}
	}
	newest = strings.TrimSpace(newest)
	return newest == strings.TrimSpace(why.Markdown) && newest != "", newest, nil
}

func seeReplies(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, _, err := w.pullOf(ctx, args[0])
	var all []string
	for _, c := range p.Comments {
		if c.Author == "rung[bot]" {
			all = append(all, c.Body)
		}
	}
	return strconv.Itoa(len(all)) == args[1], strings.Join(all, "\n"), err
}

func seeReaction(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, _, err := w.pullOf(ctx, args[0])
	var all []string
	for _, c := range p.Comments {
		all = append(all, c.Reactions...)
	}
	return slices.Contains(all, "rung[bot]:"+args[1]), strings.Join(all, " "), err
}

func seeBody(ctx context.Context, w *world, args []string) (bool, string, error) {
	p, _, err := w.pullOf(ctx, args[0])
	if err != nil {
		return false, "", err
	}
	ok, err := regexp.MatchString(args[1], p.Title+"\n"+p.Body)
	return ok, p.Title + "\n" + p.Body, err
}

// payloads are the statements of a ledger file, decoded, one a line.
func payloads(lines string) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var envelope struct {
			Payload string `json:"payload"`
		}
		if json.Unmarshal([]byte(line), &envelope) != nil {
			continue
		}
		if data, err := base64.StdEncoding.DecodeString(envelope.Payload); err == nil {
			out = append(out, string(data))
		}
	}
	return strings.Join(out, "\n")
}

func seeRecord(ctx context.Context, w *world, args []string) (bool, string, error) {
	text, there := w.emu.ReadFile(ctx, w.name, "rung/ledger", args[0]+".intoto.jsonl")
	if !there {
		return false, "no such record", nil
	}
	ok, err := regexp.MatchString(args[1], payloads(text))
	return ok, payloads(text), err
}

// ledgerSubjects are the subjects of the ledger's commits, newest first.
func (w *world) ledgerSubjects(ctx context.Context) ([]string, error) {
	refs, err := w.git.Refs(ctx, promotion.LedgerRef)
	if err != nil {
		return nil, err
	}
	var all []string
	for at := refs[promotion.LedgerRef]; at != ""; {
		c, err := w.git.ReadCommit(ctx, at)
		if err != nil {
			return nil, err
		}
		subject, _, _ := strings.Cut(c.Message, "\n")
		all = append(all, subject)
		at = ""
		if len(c.Parents) > 0 {
			at = c.Parents[0]
		}
	}
	return all, nil
}

func seeRecorded(ctx context.Context, w *world, args []string) (bool, string, error) {
	subjects, err := w.ledgerSubjects(ctx)
	if err != nil {
		return false, "", err
	}
	pattern, err := regexp.Compile(args[0])
	if err != nil {
		return false, "", err
	}
	n := 0
	for _, s := range subjects {
		if pattern.MatchString(s) {
			n++
		}
	}
	if len(args) == 2 {
		return strconv.Itoa(n) == args[1], fmt.Sprintf("%d in %q", n, subjects), nil
	}
	return n > 0, fmt.Sprintf("%q", subjects), nil
}

func seeQuarantined(ctx context.Context, w *world, args []string) (bool, string, error) {
	d, err := w.digest(args[0] + ":" + args[1])
	if err != nil {
		return false, "", err
	}
	return seeRecord(ctx, w, []string{"quarantine/" + strings.Replace(d, ":", "-", 1), `"kind":"quarantine"`})
}

func seeBranch(ctx context.Context, w *world, args []string) (bool, string, error) {
	st, err := w.state(ctx)
	_, there := st.Branches[args[0]]
	return there, fmt.Sprint(st.Branches), err
}

func seeNote(ctx context.Context, w *world, args []string) (bool, string, error) {
	v, err := w.rung.view(ctx)
	if err != nil {
		return false, "", err
	}
	said := slices.Clone(v.Notes)
	for _, p := range v.Problems {
		said = append(said, p.String())
	}
	if v.Error != "" {
		said = append(said, v.Error)
	}
	text := strings.Join(said, "\n")
	ok, err := regexp.MatchString(args[0], text)
	return ok, text, err
}

func seeBoard(ctx context.Context, w *world, args []string) (bool, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.rung.addr()+"/", http.NoBody)
	if err != nil {
		return false, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return false, "", err
	}
	ok, err := regexp.Match(args[0], page)
	return ok, string(page), err
}

func seePulls(ctx context.Context, w *world, args []string) (bool, string, error) {
	st, err := w.state(ctx)
	n := 0
	for _, p := range st.Pulls {
		if p.State == "open" && strings.HasPrefix(p.Head, "rung/p/") {
			n++
		}
	}
	return strconv.Itoa(n) == args[0], strconv.Itoa(n), err
}

func seeAsked(_ context.Context, w *world, args []string) (bool, string, error) {
	c := w.emu.Counts()
	routes, err := json.Marshal(c.Routes)
	return strconv.Itoa(c.Total) == args[0], string(routes), err
}

func seeFetched(_ context.Context, w *world, args []string) (bool, string, error) {
	most, err := strconv.Atoi(args[0])
	n := w.emu.Counts().ByClass[githubemu.Git]
	return n > 0 && n <= most, strconv.Itoa(n) + " requests", err
}

func seeFile(ctx context.Context, w *world, args []string) (bool, string, error) {
	text, there := w.emu.ReadFile(ctx, w.name, w.main, args[0])
	if !there {
		return false, "no such file", nil
	}
	ok, err := regexp.MatchString(args[1], text)
	return ok, text, err
}
