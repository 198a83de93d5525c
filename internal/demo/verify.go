package demo

import (
	"context"
	"fmt"
	"reflect"

	"github.com/rungbot/rung/internal/audit"
)

// verify is `rung verify --strict`, with this world's key pinned as the
// ledger's first. It fills what the Summary says of the repository.
func (w *World) verify(ctx context.Context, sum *Summary) (string, error) {
	report, err := audit.Verify(ctx, w.RepositoryPath(), audit.Options{Root: w.Fingerprint(), Strict: true})
	if err != nil {
		return "", err
	}
	sum.Promotions, sum.Rollbacks, sum.Environments = report.Promotions, report.Rollbacks, report.Environments
	if len(report.Findings) > 0 {
		f := report.Findings[0]
		return "", fmt.Errorf("%s; the first finding is %s in %s: expected %s, found %s", &report, f.Code, f.Object, f.Expected, f.Found)
	}
	if !report.OK {
		return "", fmt.Errorf("%s", &report)
	}
	return report.String(), nil
}

// agree holds what the verifier counted against what the emulator's own
// repository and the ledger's reader say.
func (w *World) agree(ctx context.Context, sum *Summary) (string, error) {
	promotions, rollbacks, err := w.landed(ctx)
	if err != nil {
		return "", err
	}
	if promotions != sum.Promotions || rollbacks != sum.Rollbacks {
		return "", fmt.Errorf("the ledger has %d promotions and %d rollbacks, rung verify saw %d and %d", promotions, rollbacks, sum.Promotions, sum.Rollbacks)
	}
	live, err := w.environments(ctx)
	if err != nil {
		return "", err
	}
	if !reflect.DeepEqual(live, sum.Environments) {
		return "", fmt.Errorf("main names %v, rung verify saw %v", live, sum.Environments)
	}
	return fmt.Sprintf("%d promotions and %d rollbacks, seen twice", promotions, rollbacks), nil
}
