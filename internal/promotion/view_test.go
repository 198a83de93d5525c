package promotion

import (
	"encoding/json"
	"testing"
)

func TestPairIsAJSONKey(t *testing.T) {
	want := map[Pair]int{{"dev", "checkout"}: 1}
	data, err := json.Marshal(want)
	if err != nil || string(data) != `{"dev/checkout":1}` {
		t.Fatalf("got %s, %v", data, err)
	}
	var got map[Pair]int
	if err := json.Unmarshal(data, &got); err != nil || got[Pair{"dev", "checkout"}] != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"../x":1}`), &got); err == nil {
		t.Error("a name outside the grammar was taken")
	}
}

func TestWorst(t *testing.T) {
	v := func(s ...Status) (vs []Verdict) {
		for _, st := range s {
			vs = append(vs, Verdict{Status: st})
		}
		return vs
	}
	for _, c := range []struct {
		vs   []Verdict
		want Status
	}{
		{nil, StatusUnknown},
		{v(StatusPass), StatusPass},
		{v(StatusPass, StatusPending), StatusPending},
		{v(StatusPending, StatusUnknown), StatusUnknown},
		{v(StatusUnknown, StatusFail, StatusPass), StatusFail},
		{v(StatusPass, "splendid"), StatusUnknown},
	} {
		if got := Worst(c.vs); got != c.want {
			t.Errorf("Worst(%v) = %s, want %s", c.vs, got, c.want)
		}
		if got := Passed(c.vs); got != (c.want == StatusPass) {
			t.Errorf("Passed(%v) = %v", c.vs, got)
		}
	}
}
