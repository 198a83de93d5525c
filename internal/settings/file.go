package settings

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
)

// maxFile bounds a file of settings, in bytes.
const maxFile = 64 << 10

var (
	assignment = lazyregexp.New(`^([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)
	quoted     = lazyregexp.New(`^'[^']*'(?:\\''[^']*')*$`)
	unquoted   = lazyregexp.New("^[^\\s'\"\\\\$`;&|<>()*?#~]*$")
)

// ReadFile reads a file of settings as rung setup writes it: one NAME=VALUE a line,
// the value as it is or in single quotes, and lines that begin with #. A shell, systemd
// and compose read the same of it. It returns what Load takes. The error names the
// line; it shows no value, which may be a secret.
func ReadFile(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the file of settings can't be read: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes: a file of settings has %d at most", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the file of settings can't be read: %w", err)
	}
	environ, line, err := parseFile(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, line, err)
	}
	return environ, nil
}

// parseFile is ReadFile of text; line is where the error is.
func parseFile(text string) (environ []string, line int, err error) {
	seen := map[string]int{}
	for i, text := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		m := assignment.FindStringSubmatch(text)
		if m == nil {
			return nil, i + 1, errors.New("is not understood: write NAME=VALUE")
		}
		name, value := m[1], m[2]
		if !strings.HasPrefix(name, "RUNG_") && name != "SSH_AUTH_SOCK" {
			return nil, i + 1, fmt.Errorf("%s is no setting of rung: set it in the environment", name)
		}
		if before := seen[name]; before > 0 {
			return nil, i + 1, fmt.Errorf("%s stands in line %d already", name, before)
		}
		seen[name] = i + 1
		switch {
		case quoted.MatchString(value):
			value = strings.ReplaceAll(value[1:len(value)-1], `'\''`, "'")
		case !unquoted.MatchString(value):
			return nil, i + 1, fmt.Errorf("the value of %s has a character that shells read otherwise: put it in single quotes", name)
		}
		environ = append(environ, name+"="+value)
	}
	return environ, 0, nil
}
