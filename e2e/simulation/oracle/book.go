package oracle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// record is a ledger statement's predicate, as far as it is judged.
type record struct {
	Kind        string `json:"kind"`
	Promotion   string `json:"promotion"`
	Environment string `json:"environment"`
	Base        struct {
		Judged string `json:"judged"`
	} `json:"base"`
	Artifact struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Digest  string `json:"digest"`
	} `json:"artifact"`
	Announced   string `json:"announced"`
	Restores    string `json:"restores"`
	Reverts     string `json:"reverts"`
	PullRequest struct {
		Number int    `json:"number"`
		Head   string `json:"head"`
	} `json:"pullRequest"`
	Actor struct {
		Kind  string `json:"kind"`
		Login string `json:"login"`
	} `json:"actor"`
	Cause struct {
		Kind string    `json:"kind"`
		ID   string    `json:"id"`
		At   time.Time `json:"at"`
	} `json:"cause"`
	Causers []struct {
		Login string `json:"login"`
	} `json:"causers"`
	Approvals []struct {
		Login  string `json:"login"`
		Commit string `json:"commit"`
	} `json:"approvals"`
	Gates []struct {
		Gate     string `json:"gate"`
		Status   string `json:"status"`
		Sentence string `json:"sentence"`
	} `json:"gates"`
	Landed *struct {
		Commit      string   `json:"commit"`
		FirstParent string   `json:"firstParent"`
		ByHand      bool     `json:"byHand"`
		Unmet       []string `json:"unmet"`
	} `json:"landed"`
	Digest   string    `json:"digest"`
	Children []string  `json:"children"`
	Scope    string    `json:"scope"`
	Until    time.Time `json:"until"`
	Outcome  string    `json:"outcome"`
	Reason   string    `json:"reason"`
	IssuedAt time.Time `json:"issuedAt"`

	statement string // sha256:… of the payload
	commit    string // the ledger commit
	path      string
}

func (r *record) pair() string { return r.Environment + "/" + r.Artifact.Name }

// book is what the ledger says, replayed record by record.
type book struct {
	first   string
	tip     string
	base    string
	open    map[string]*record   // by pair: propose, authorize, withdraw
	live    map[string]*record   // by pair: land, adopt
	good    map[string]bool      // environment/artifact@digest that landed and settled good
	bars    map[string]*record   // by digest
	freezes map[string]*record   // by scope
	landed  map[string]*record   // by promotion id
	restore map[string]*record   // lands and adopts by statement
	causes  map[string][]*record // commands, by comment id and kind

	announced map[string]*record // by statement
}

func newBook() *book {
	return &book{
		open: map[string]*record{}, live: map[string]*record{}, good: map[string]bool{}, bars: map[string]*record{},
		freezes: map[string]*record{}, landed: map[string]*record{}, restore: map[string]*record{}, causes: map[string][]*record{},
		announced: map[string]*record{},
	}
}

// barred returns the standing quarantine of a digest.
func (b *book) barred(digest string) *record {
	for _, r := range b.bars {
		if r.Kind == "quarantine" && (r.Digest == digest || slices.Contains(r.Children, digest)) {
			return r
		}
	}
	return nil
}

// frozen returns a standing freeze over a pair.
func (b *book) frozen(r *record, now time.Time) *record {
	for _, scope := range []string{"+all", r.Environment, r.pair()} {
		if f := b.freezes[scope]; f != nil && f.Kind == "freeze" && (f.Until.IsZero() || now.Before(f.Until)) {
			return f
		}
	}
	return nil
}

const maxNewCommits = 40

// ledgerMoved reads the new commits of the ledger. It returns what they say.
func (o *Oracle) ledgerMoved(was, now string) []string {
	if was != o.book.tip && o.book.tip != "" {
		o.Report("6 records", "the ledger stood at %.10s, which rung did not push (%.10s)", was, o.book.tip)
	}
	if now == "" {
		o.Report("4 scope", "rung deleted its ledger")
		return nil
	}
	var commits []string
	at := now
	for range maxNewCommits {
		if at == was {
			break
		}
		c, err := o.Git.ReadCommit(o.ctx, at)
		if err != nil {
			o.Report("6 records", "the ledger commit %.10s can't be read: %v", at, err)
			return nil
		}
		commits = append(commits, at)
		if len(c.Parents) == 0 {
			if o.book.first != "" {
				o.Report("4 scope", "rung began a second ledger at %.10s; the first is %.10s", at, o.book.first)
			}
			o.book.first = at
			at = ""
			break
		}
		if len(c.Parents) > 1 {
			o.Report("6 records", "the ledger commit %.10s is a merge", at)
		}
		at = c.Parents[0]
	}
	if at != was {
		o.Report("4 scope", "the ledger was forced from %.10s to %.10s", was, now)
	}
	slices.Reverse(commits)
	var words []string
	for _, id := range commits {
		words = append(words, o.ledgerCommit(id)...)
	}
	o.book.tip = now
	return words
}

// ledgerCommit reads the records of one commit and holds its trailers to them.
func (o *Oracle) ledgerCommit(id string) []string {
	c, err := o.Git.ReadCommit(o.ctx, id)
	if err != nil {
		o.Report("6 records", "%.10s: %v", id, err)
		return nil
	}
	parent := ""
	if len(c.Parents) > 0 {
		p, err := o.Git.ReadCommit(o.ctx, c.Parents[0])
		if err != nil {
			o.Report("6 records", "%.10s: %v", id, err)
			return nil
		}
		parent = p.Tree
	}
	groups, base, err := trailers(c.Message)
	if err != nil {
		o.Report("6 records", "the trailers of %.10s: %v", id, err)
		return nil
	}
	paths, err := o.Git.Diff(o.ctx, parent, c.Tree)
	if err != nil {
		o.Report("6 records", "%.10s: %v", id, err)
		return nil
	}
	var fresh []*record
	var removed []string
	for _, path := range paths {
		if path == "lineage.json" {
			continue // an index for readers, not a record
		}
		if path == "allowed_signers" {
			if parent != "" {
				o.Report("4 scope", "%.10s changes the trust list", id)
			}
			continue
		}
		old, _ := o.file(parent, path)
		text, there := o.file(c.Tree, path)
		if !there {
			removed = append(removed, path)
			continue
		}
		seen := strings.Split(old, "\n")
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if slices.Contains(seen, line) {
				continue
			}
			r, err := o.decode(line)
			if err != nil {
				o.Report("6 records", "%s at %.10s: %v", path, id, err)
				continue
			}
			if r == nil {
				continue // a verification summary
			}
			r.commit, r.path = id, path
			fresh = append(fresh, r)
		}
	}
	o.compare(id, groups, fresh)
	for _, path := range removed {
		// Landing closes what was open, an announcement makes an older one go;
		// nothing else may vanish.
		if !slices.ContainsFunc(fresh, func(r *record) bool {
			return r.Kind == "land" && path == "open/"+r.pair()+".intoto.jsonl" || r.Kind == "announce" && strings.HasPrefix(path, "announced/"+r.Artifact.Name+"/")
		}) {
			o.Report("6 records", "%.10s removes %s", id, path)
		}
	}
	var words []string
	// In the order in which they are told, but what is live first: what is proposed
	// builds on it, and trailers go by name and digest.
	slices.SortStableFunc(fresh, func(a, b *record) int {
		if a.isLive() != b.isLive() {
			return map[bool]int{true: -1, false: 1}[a.isLive()]
		}
		return slices.Index(groups, a.statement) - slices.Index(groups, b.statement)
	})
	for _, r := range fresh {
		words = append(words, o.enter(r))
	}
	if base != "" {
		o.book.base = base
	}
	return words
}

// isLive reports whether a record says what is live in its pair.
func (r *record) isLive() bool { return strings.HasPrefix(r.path, "live/") }

// compare holds the trailers' statements to the records of a commit.
func (o *Oracle) compare(id string, groups []string, fresh []*record) {
	if len(groups) != len(fresh) {
		o.Report("6 records", "%.10s names %d records and holds %d", id, len(groups), len(fresh))
	}
	for _, r := range fresh {
		if !slices.Contains(groups, r.statement) {
			o.Report("6 records", "%.10s holds a %s record of %s that its trailers don't name", id, r.Kind, r.pair())
		}
	}
}

// trailers reads the statements and the base that a ledger commit names.
func trailers(message string) (statements []string, base string, err error) {
	paragraphs := strings.Split(strings.TrimRight(message, "\n"), "\n\n")
	kinds := 0
	for _, line := range strings.Split(paragraphs[len(paragraphs)-1], "\n") {
		key, value, ok := strings.Cut(line, ": ")
		if !ok || !strings.HasPrefix(key, "Promotion-") {
			return nil, "", fmt.Errorf("%q is no trailer", line)
		}
		switch key {
		case "Promotion-Kind":
			kinds++
		case "Promotion-Statement":
			statements = append(statements, value)
		case "Promotion-Base":
			base = value
		}
	}
	if kinds != len(statements) {
		return nil, "", fmt.Errorf("%d kinds and %d statements", kinds, len(statements))
	}
	return statements, base, nil
}

const (
	payloadType   = "application/vnd.in-toto+json"
	predicateType = "https://rung.dev/record/v1"
	summaryType   = "https://slsa.dev/verification_summary/v1"
)

// decode checks one line of a record file: a DSSE envelope around an in-toto
// statement. It returns nil for a statement that is no record.
func (o *Oracle) decode(line string) (*record, error) {
	var env struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
		Signatures  []struct {
			Sig string `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal([]byte(line), &env); err != nil {
		return nil, err
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		return nil, err
	}
	if len(env.Signatures) != 1 || env.PayloadType != payloadType {
		return nil, errors.New("not one signature over a statement")
	}
	sig, err := base64.StdEncoding.DecodeString(env.Signatures[0].Sig)
	if err != nil {
		return nil, err
	}
	signed := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	if !ed25519.Verify(o.Key, signed, sig) {
		return nil, errors.New("the signature does not hold")
	}
	var st struct {
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(payload, &st); err != nil {
		return nil, err
	}
	switch st.PredicateType {
	case summaryType:
		return nil, nil
	case predicateType:
	default:
		return nil, fmt.Errorf("predicate %q", st.PredicateType)
	}
	r := &record{}
	if err := json.NewDecoder(bytes.NewReader(st.Predicate)).Decode(r); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(payload)
	r.statement = "sha256:" + hex.EncodeToString(sum[:])
	return r, nil
}

// enter judges a new record by what stands before it and then notes it.
func (o *Oracle) enter(r *record) string {
	b := o.book
	word := r.Kind + " " + r.pair() + " " + r.Artifact.Version
	// A proposal that is written again because one more person is known to have
	// caused it: an event was found late. It decides nothing new.
	before := b.open[r.pair()]
	learnt := r.Kind == "propose" && before != nil && before.Kind != "withdraw" && before.Promotion == r.Promotion &&
		before.Artifact.Digest == r.Artifact.Digest && len(r.Causers) > len(before.Causers)
	if !learnt && r.Kind != "announce" {
		o.told++
	}
	switch r.Kind {
	case "propose":
		o.proposed(r)
		b.open[r.pair()] = r
	case "authorize":
		o.authorized(r)
		b.open[r.pair()] = r
	case "withdraw":
		b.open[r.pair()] = r
		word += " (" + r.Reason + ")"
	case "land":
		o.landedRecord(r)
		b.landed[r.Promotion] = r
		b.live[r.pair()], b.restore[r.statement] = r, r
		delete(b.open, r.pair())
	case "adopt":
		if r.Artifact.Name == "" {
			return "adopt a range"
		}
		b.live[r.pair()], b.restore[r.statement] = r, r
	case "settle":
		o.settled(r)
		if live := b.live[r.pair()]; r.Outcome == "good" && live != nil && live.Kind == "land" {
			b.good[r.pair()+"@"+r.Artifact.Digest] = true
		}
		word += " " + r.Outcome
	case "quarantine", "unquarantine":
		o.commanded(r)
		b.bars[r.Digest] = r
		word = r.Kind + fmt.Sprintf(" %.15s", r.Digest)
	case "freeze", "unfreeze":
		o.commanded(r)
		b.freezes[r.Scope] = r
		word = r.Kind + " " + r.Scope
	case "announce":
		b.announced[r.statement] = r
	default:
		o.Report("6 records", "a record of kind %q", r.Kind)
	}
	return word
}
