package settings

import (
	"net/url"
	"slices"
	"strings"
)

// clientSettings are the fields that LoadClient reads.
var clientSettings = []string{"URL", "Token"}

// LoadClient reads what a command needs to ask a running rung, and nothing else: no
// key of the service is read for it. A variable that is not known is an error all
// the same.
func LoadClient(environ []string) (Settings, error) {
	var others []string
	for _, f := range settingFields() {
		if !slices.Contains(clientSettings, f.name) {
			others = append(others, f.variable, f.variable+"_FILE")
		}
	}
	return Load(slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(others, name)
	}))
}

// checkClient judges where a running rung is asked, and with what.
func (l *loader) checkClient(s *Settings) {
	if s.URL == "" {
		return
	}
	s.URL = l.checkURL("RUNG_URL", s.URL, false)
	u, err := url.Parse(s.URL)
	if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) && !s.Token.Empty() {
		l.report("RUNG_URL", "must be https where RUNG_TOKEN is set: plain http is taken on loopback only, for the token travels over it")
	}
	if strings.ContainsFunc(s.Token.Reveal(), func(r rune) bool { return r < ' ' || r > '~' }) {
		l.report("RUNG_TOKEN", "has a character that no request can carry: write the token, or user:password, on one line")
	}
}
