package forge

import (
	"slices"
	"testing"
)

func TestWhatARequestLacks(t *testing.T) {
	granted := map[string]string{"metadata": "read", "contents": "write", "issues": "read"}
	for accepted, want := range map[string][]string{
		"checks=write":                                {"checks: write"},
		"issues=write; pull_requests=write":           {"issues: write"},
		"contents=write,pull_requests=write":          {"pull_requests: write"},
		"pull_requests=read,checks=read; issues=read": nil,
		"contents=read":                               nil,
		"":                                            {"checks: write", "issues: write", "pull_requests: write", "statuses: read"},
		"<script>=write":                              nil,
		"nonsense":                                    nil,
	} {
		if got := lacking(accepted, granted); !slices.Equal(got, want) {
			t.Errorf("%q lacks %q, want %q", accepted, got, want)
		}
	}
}
