package app

import (
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/sign"
)

// KeysOf are public keys as the ledger knows them.
func KeysOf(keys ...sign.PublicKey) ledger.Keys { return ledger.KeysOf(keys...) }
