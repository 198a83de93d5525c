package observe

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/ledger"
)

// TestANewerLedgerIsNotCalledForged: who runs an older rung again is told so, and
// not to push the ledger back from somewhere.
func TestANewerLedgerIsNotCalledForged(t *testing.T) {
	text, fault := ledgerFault(fmt.Errorf("live/dev/checkout: %w: a record of format 2 by rung 2.0.0", ledger.ErrNewer))
	if !fault || !strings.Contains(text, "run that version, or a newer one") || strings.Contains(text, "trusted") || strings.Contains(text, "push") {
		t.Errorf("%v %q", fault, text)
	}
	if text, fault := ledgerFault(ledger.ErrMalformed); !fault || !strings.Contains(text, "can't be trusted") {
		t.Errorf("%v %q", fault, text)
	}
	if text, fault := ledgerFault(errors.New("the server is away")); fault {
		t.Errorf("a server that is away is held to be a fault: %q", text)
	}
}
