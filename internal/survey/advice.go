package survey

import (
	"fmt"
	"strings"
)

// advise suggests CODEOWNERS and branch rules.
func (l *ladder) advise(s *Survey) error {
	team, owned := "@YOUR-ORGANISATION/YOUR-TEAM", false
	if l.tree.Owner != "" {
		team = "@" + l.tree.Owner + "/YOUR-TEAM"
	}
	for _, name := range ownersFiles {
		data, there := l.tree.file(name)
		if !there {
			continue
		}
		owners, rung := everything(string(data))
		if owners != "" {
			team, owned = owners, true
		}
		if rung {
			s.CodeOwners = []string{}
			l.rules(s, owned)
			return nil
		}
		break
	}
	for _, what := range []string{"/rung.yaml", "/rung.d/", "/policies/", "/.github/"} {
		s.CodeOwners = append(s.CodeOwners, fmt.Sprintf("%-12s %s", what, team))
	}
	l.rules(s, owned)
	return nil
}

// everything reads who owns everything in a CODEOWNERS, and whether rung.yaml has a
// line of its own.
func everything(data string) (owners string, rung bool) {
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f }) {
			continue
		}
		switch strings.TrimPrefix(fields[0], "/") {
		case "*", "**":
			owners = strings.Join(fields[1:], " ")
		case "rung.yaml":
			rung = true
		}
	}
	if len(owners) > 200 {
		owners = ""
	}
	return owners, rung
}

func (l *ladder) rules(s *Survey, owned bool) {
	s.Rules = []string{
		"Require the check rung on the base branch, pinned to your App as its source, so that nobody else can post it.",
		"Let only the App create, update and delete rung/ledger.",
		"Put the reviews that a promotion needs into approvals: of rung.yaml. A rule that requires reviews stops rung as well, since an App can't approve its own pull request; where there must be one, let the App bypass it for pull requests.",
	}
	if owned {
		s.Rules = append(s.Rules, "CODEOWNERS names owners for everything: a rule that requires their review stops rung too; leave the environments out of it, or let the App bypass it.")
	}
}
