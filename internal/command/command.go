// Package command is the grammar of the slash commands that people write in
// comments.
//
// State: none; Parse is pure and safe for concurrent use. A command is the
// first line of a comment, from its first column, in plain ASCII. What is not a
// command at all is told apart from a command with a mistake in it, because the
// second deserves an answer. What it does not do: it does not know who wrote
// the comment, whether the names exist, or what to do.
//
//	/rollback [artifact] [in env] [to version] [force: reason]
//	/hold [artifact] [in env] [reason…]      /resume [artifact] [in env]
//	/retry
//	/quarantine [digest] [reason…]           /unquarantine [digest] <reason…>
//	/freeze <env|all> <reason…> [until 2006-01-02T15:04Z]   /unfreeze <env|all>
//	/adopt [artifact in env] <reason…>
//	/why [artifact] [in env]    /help
package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// Verbs are the known verbs, sorted.
var Verbs = []string{"adopt", "freeze", "help", "hold", "quarantine", "resume", "retry", "rollback", "unfreeze", "unquarantine", "why"}

// AllEnvironments is the scope of a freeze of the whole repository.
const AllEnvironments = "+all"

// maxLine and maxReason bound what is read, in bytes.
const (
	maxLine   = 1024
	maxReason = 512
)

// Parse reads the first line of a comment into the command's fields (Verb,
// Artifact, Environment, Version, Digest, Force, Reason, Until, Error). It
// reports false when the line is no command: no slash in the first column, or
// no letter behind it. Environment is "+all" for a freeze of everything.
func Parse(line string) (promotion.Command, bool) {
	if i := strings.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	if len(line) < 2 || line[0] != '/' || line[1] < 'a' || line[1] > 'z' {
		return promotion.Command{}, false
	}
	cmd := promotion.Command{Line: line}
	if len(line) > maxLine {
		cmd.Line = line[:maxLine]
		cmd.Error = fmt.Sprintf("the command is longer than %d characters", maxLine)
		return cmd, true
	}
	for i := range len(line) {
		if line[i] < 0x20 && line[i] != '\t' || line[i] == 0x7f {
			cmd.Error = "the command holds a control character"
			return cmd, true
		}
	}
	verb, rest, _ := strings.Cut(line[1:], " ")
	verb = strings.TrimSpace(verb)
	if !slices.Contains(Verbs, verb) {
		if strings.ContainsRune(verb, '/') {
			return promotion.Command{}, false // a path, not a command
		}
		cmd.Error = fmt.Sprintf("there is no command /%s", printable(verb))
		return cmd, true
	}
	cmd.Verb = verb
	p := &parser{words: strings.Fields(rest), cmd: &cmd}
	if err := p.parse(); err != nil {
		cmd.Error = err.Error()
	}
	return cmd, true
}

type parser struct {
	words []string
	cmd   *promotion.Command
}

func (p *parser) parse() error {
	switch p.cmd.Verb {
	case "help", "retry":
		return p.end()
	case "rollback":
		return p.rollback()
	case "why", "resume":
		if err := p.subject(); err != nil {
			return err
		}
		return p.end()
	case "hold":
		if err := p.subject(); err != nil {
			return err
		}
		return p.reason(false)
	case "adopt":
		if err := p.adopted(); err != nil {
			return err
		}
		return p.reason(true)
	case "quarantine":
		if err := p.barred(); err != nil {
			return err
		}
		return p.reason(false)
	case "unquarantine":
		if err := p.barred(); err != nil {
			return err
		}
		return p.reason(true)
	case "freeze":
		if err := p.scope(); err != nil {
			return err
		}
		return p.freezeReason()
	case "unfreeze":
		if err := p.scope(); err != nil {
			return err
		}
		return p.end()
	}
	return fmt.Errorf("there is no command /%s", p.cmd.Verb)
}

func (p *parser) next() (string, bool) {
	if len(p.words) == 0 {
		return "", false
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w, true
}

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

// rollback reads [artifact] [in env] [to version] [force: reason].
func (p *parser) rollback() error {
	if w := p.peek(); w != "" && w != "in" && w != "to" && !strings.HasPrefix(w, "force:") {
		a, err := promotion.ParseArtifact(w)
		if err != nil {
			return err
		}
		p.cmd.Artifact = a
		p.next()
	}
	for {
		w, ok := p.next()
		if !ok {
			return nil
		}
		switch {
		case w == "in" && p.cmd.Environment == "":
			if err := p.environment(); err != nil {
				return err
			}
		case w == "to" && p.cmd.Version == "":
			v, ok := p.next()
			if !ok {
				return fmt.Errorf("\"to\" wants a version behind it")
			}
			version, err := promotion.ParseVersion(v)
			if err != nil {
				return err
			}
			p.cmd.Version = version
		case strings.HasPrefix(w, "force:"):
			p.cmd.Force = true
			p.words = append([]string{strings.TrimPrefix(w, "force:")}, p.words...)
			if p.words[0] == "" {
				p.words = p.words[1:]
			}
			return p.reason(true)
		default:
			return fmt.Errorf("%s is not understood here; the form is /rollback [artifact] [in environment] [to version] [force: reason]", quoted(w))
		}
	}
}

func (p *parser) environment() error {
	w, ok := p.next()
	if !ok {
		return fmt.Errorf("\"in\" wants an environment behind it")
	}
	e, err := promotion.ParseEnvironment(w)
	if err != nil {
		return err
	}
	p.cmd.Environment = e
	return nil
}

// subject reads [artifact] [in env]. Without "in" the first word is an artifact
// only if it stands alone or is followed by "in".
func (p *parser) subject() error {
	if w := p.peek(); w != "" && w != "in" && (len(p.words) == 1 || p.words[1] == "in") {
		a, err := promotion.ParseArtifact(w)
		if err != nil {
			return err
		}
		p.cmd.Artifact = a
		p.next()
	}
	if p.peek() == "in" {
		p.next()
		return p.environment()
	}
	return nil
}

// adopted reads [artifact in env], where both words are names and a reason
// follows. "/adopt seen in prod" is a reason.
func (p *parser) adopted() error {
	if len(p.words) < 4 || p.words[1] != "in" {
		return nil
	}
	a, err := promotion.ParseArtifact(p.words[0])
	if err != nil {
		return nil //nolint:nilerr // no name: the words are the reason
	}
	p.words = p.words[2:]
	p.cmd.Artifact = a
	return p.environment()
}

// barred reads [digest].
func (p *parser) barred() error {
	if !strings.HasPrefix(p.peek(), "sha256:") {
		return nil
	}
	w, _ := p.next()
	d, err := promotion.ParseDigest(w)
	if err != nil {
		return err
	}
	p.cmd.Digest = d
	return nil
}

func (p *parser) scope() error {
	w, ok := p.next()
	if !ok {
		return fmt.Errorf("/%s wants an environment behind it, or \"all\"", p.cmd.Verb)
	}
	if w == "all" {
		p.cmd.Environment = AllEnvironments
		return nil
	}
	e, err := promotion.ParseEnvironment(w)
	if err != nil {
		return err
	}
	p.cmd.Environment = e
	return nil
}

func (p *parser) freezeReason() error {
	if n := len(p.words); n >= 2 && p.words[n-2] == "until" {
		t, err := parseTime(p.words[n-1])
		if err != nil {
			return err
		}
		p.cmd.Until = t
		p.words = p.words[:n-2]
	}
	return p.reason(true)
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a time; write it as 2006-01-02T15:04Z or 2006-01-02", quoted(s))
}

func (p *parser) reason(required bool) error {
	reason := strings.Join(p.words, " ")
	if reason == "" && required {
		return fmt.Errorf("/%s wants a reason behind it", p.cmd.Verb)
	}
	if len(reason) > maxReason {
		return fmt.Errorf("the reason is longer than %d characters", maxReason)
	}
	p.cmd.Reason = strings.ToValidUTF8(reason, "")
	p.words = nil
	return nil
}

func (p *parser) end() error {
	if w := p.peek(); w != "" {
		return fmt.Errorf("%s is not understood behind /%s", quoted(w), p.cmd.Verb)
	}
	return nil
}

func quoted(s string) string { return fmt.Sprintf("%q", printable(s)) }

// printable cuts outside text to 40 plain characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return s
}
