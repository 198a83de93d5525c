package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestTheBoardAsksNobody: the pages say what runs where without a request to GitHub
// of any kind. A request that rung makes by itself meanwhile is waited out.
func TestTheBoardAsksNobody(t *testing.T) {
	w := newWorld(t, climbConfig)
	w.wait("it has looked", w.app.Looked)
	w.wait("the ledger is started", func() bool { return w.view().Ledger != "" })
	for path, want := range map[string]string{"/": "1.0.0", "/r/" + gitops: "1.0.0", "/doctor": "accepted"} {
		w.wait("nobody is asked for "+path, func() bool {
			w.emu.ResetCounts()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.app.Addr()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			page, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(page), want) {
				t.Fatalf("%s: %d, %v\n%s", path, res.StatusCode, err, page)
			}
			return len(w.emu.Counts().Routes) == 0
		})
	}
}
