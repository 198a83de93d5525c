package hint

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func announced(version promotion.Version, login string, at int) Hint {
	return Hint{
		Kind: KindPublished, At: time.Unix(int64(at), 0).UTC(), Artifact: "checkout", Version: version,
		Sender: promotion.Person{Login: login}, Delivery: fmt.Sprint(at), Source: Source{Repository: "acme/checkout"},
	}
}

func TestToldKeepsEverybodyOnceAndSurvives(t *testing.T) {
	var known []Hint
	for _, h := range []Hint{
		announced("1.0.0", "alice", 1),
		announced("1.0.0", "carol", 2),
		announced("1.0.0", "alice", 3),
		announced("1.1.0", "alice", 4),
		{Kind: KindStatus, Version: "9.9.9"},
	} {
		known = Told(known, h)
	}
	want := []Hint{announced("1.0.0", "alice", 1), announced("1.0.0", "carol", 2), announced("1.1.0", "alice", 4)}
	if !reflect.DeepEqual(known, want) {
		t.Fatalf("got %+v, want %+v", known, want)
	}
	data, err := EncodeTold(known)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := DecodeTold(data); err != nil || !reflect.DeepEqual(again, want) {
		t.Fatalf("read again: %+v, %v", again, err)
	}
	if _, err := DecodeTold([]byte("{")); err == nil {
		t.Error("what can't be read is read")
	}
	for i := range 2 * MaxTold {
		known = Told(known, announced(promotion.Version(fmt.Sprintf("2.0.%d", i)), "bob", i))
	}
	if len(known) != MaxTold || known[MaxTold-1].Version != promotion.Version(fmt.Sprintf("2.0.%d", 2*MaxTold-1)) {
		t.Errorf("%d kept, the last is %s", len(known), known[len(known)-1].Version)
	}
}

func TestAbout(t *testing.T) {
	for _, c := range []struct {
		h    Hint
		want bool
	}{
		{Hint{Artifact: "checkout"}, true},
		{Hint{Artifact: "cart"}, false},
		{Hint{Artifact: "cart", Image: "r/checkout"}, false},
		{Hint{Image: "r/checkout"}, true},
		{Hint{Image: "r/cart"}, false},
		{Hint{}, true},
	} {
		if got := c.h.About("checkout", "r/checkout"); got != c.want {
			t.Errorf("%+v: %v, want %v", c.h, got, c.want)
		}
	}
}
