package app

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/sign"
)

// maxTrustFile bounds the file of rotate statements, in bytes.
const maxTrustFile = 16 << 20

// openTrust reads the root keys of the settings. The trust file is read at each
// look at a ledger, and once here, so that a wrong path is told at the start.
func (a *App) openTrust() error {
	a.trust = ledger.Trust{Own: a.key.Public()}
	for text := range strings.FieldsFuncSeq(a.settings.RootKeys, func(r rune) bool { return r == ',' || r == '\n' }) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		parse := sign.ParsePublicKey
		if !strings.Contains(text, " ") {
			parse = sign.LoadPublicKeyFile
		}
		key, err := parse(text)
		if err != nil {
			return fmt.Errorf("RUNG_ROOT_KEYS: %w", err)
		}
		a.trust.Roots = append(a.trust.Roots, key)
	}
	if a.settings.TrustFile == "" {
		return nil
	}
	a.trust.Statements = a.statements
	data, err := a.statements()
	if err != nil {
		return err
	}
	lines, err := ledger.SplitStatements(data)
	if err != nil {
		return fmt.Errorf("RUNG_TRUST_FILE: %w", err)
	}
	for i, line := range lines {
		if _, _, err := ledger.PeekRotate(line); err != nil {
			return fmt.Errorf("RUNG_TRUST_FILE: statement %d: %w", i+1, err)
		}
	}
	return nil
}

// statements reads the trust file.
func (a *App) statements() ([]byte, error) {
	f, err := os.Open(a.settings.TrustFile)
	if err != nil {
		return nil, fmt.Errorf("RUNG_TRUST_FILE: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxTrustFile+1))
	if err == nil && len(data) > maxTrustFile {
		err = fmt.Errorf("it has more than %d bytes", maxTrustFile)
	}
	if err != nil {
		return nil, fmt.Errorf("RUNG_TRUST_FILE: %w", err)
	}
	return data, nil
}

// sayRoot tells who decides whose signatures count.
func (a *App) sayRoot() {
	if len(a.trust.Roots) == 0 {
		a.log.Warn().Str("key", a.key.Public().Fingerprint()).
			Msg("there is no root key: the release key is its own root, and whoever has it can replace it, and if it is lost this ledger ends; docs/keys.md says how to make a root key")
		return
	}
	for _, k := range a.trust.Roots {
		a.log.Info().Str("root", k.Fingerprint()).Msg("trust lists are taken from this root key")
	}
}
