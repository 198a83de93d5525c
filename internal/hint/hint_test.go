package hint

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// TestEveryFieldOfAShapeIsRead holds the union to the shapes: a field that a
// door writes and observe needs must not be lost for its name.
func TestEveryFieldOfAShapeIsRead(t *testing.T) {
	known := map[string]bool{}
	for f := range reflect.TypeFor[Hint]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	// Nobody decides from these; they are for logs and pages.
	for _, name := range []string{"forced", "base", "baseRef", "issue", "id", "run", "installation", "repository"} {
		known[name] = true
	}
	for _, shape := range []any{
		RefsMoved{},
		PullRequest{},
		Review{},
		Command{},
		Check{},
		CheckSuite{},
		Status{},
		Deployment{},
		Click{},
		Rerequest{},
		Published{},
		Workflow{},
		MergeGroup{},
		Access{},
		RepositoryChange{},
		Refused{},
	} {
		for f := range reflect.TypeOf(shape).Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !known[name] {
				t.Errorf("%T.%s (%q) is not read by Hint", shape, f.Name, name)
			}
		}
	}
}

func TestReadAndMark(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	data, err := json.Marshal(Status{SHA: promotion.Hash(strings.Repeat("a", 40)), Context: "ci/test", State: "success"})
	if err != nil {
		t.Fatal(err)
	}
	got := Read(queue.Hint{Kind: KindStatus, At: at, Data: data})
	want := Hint{Kind: KindStatus, At: at, SHA: promotion.Hash(strings.Repeat("a", 40)), Context: "ci/test", State: "success"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, broken := range []queue.Hint{{Kind: KindStatus}, {Kind: KindStatus, Data: []byte("{")}, {Kind: KindEverything, Data: data}} {
		if got := Read(broken); got.Kind != KindEverything {
			t.Errorf("Read(%+v).Kind = %s, want everything", broken, got.Kind)
		}
	}
	m, err := Mark(7, "start", Hint{Kind: KindEverything, At: at})
	if err != nil || m.Key != queue.RepositoryKey(7) || m.Hint.Kind != KindEverything {
		t.Errorf("Mark = %+v, %v", m, err)
	}
}
