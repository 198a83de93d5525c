package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/promotion"
)

// recordSchema is what docs/records.schema.json says of a kind.
func recordSchema(k promotion.RecordKind) (*schemas.Schema, error) {
	compiler, err := recordSchemas()
	if err != nil {
		return nil, err
	}
	schemaLock.Lock()
	defer schemaLock.Unlock()
	return compiler.Compile("records.schema.json#/$defs/" + string(k))
}

var schemaLock sync.Mutex // a compiler is for one at a time

var recordSchemas = sync.OnceValues(func() (*schemas.Compiler, error) {
	data, err := os.ReadFile("../docs/records.schema.json")
	if err != nil {
		return nil, err
	}
	document, err := schemas.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	compiler := schemas.NewCompiler()
	return compiler, compiler.AddResource("records.schema.json", document)
})

// schemaHolds holds every record of a clone's ledger to the published schema.
func schemaHolds(ctx context.Context, clone string) error {
	var wrong error
	seen := 0
	_, err := audit.Verify(ctx, clone, audit.Options{Each: func(e audit.Entry) {
		if wrong != nil {
			return
		}
		seen++
		schema, err := recordSchema(e.Record.Kind)
		if err != nil {
			wrong = err
			return
		}
		data, err := json.Marshal(e.Record)
		if err != nil {
			wrong = err
			return
		}
		document, err := schemas.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			wrong = err
			return
		}
		if err := schema.Validate(document); err != nil {
			wrong = fmt.Errorf("%w\n%s", err, data)
		}
	}})
	switch {
	case err != nil:
		return err
	case wrong == nil && seen == 0:
		return fmt.Errorf("%s has no record", clone)
	}
	return wrong
}
