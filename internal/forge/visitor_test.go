package forge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/forge"
)

// TestAManifestsAnswer is taken whole or not at all, and no error shows a code or a
// key. How setup meets other servers is in its own tests.
func TestAManifestsAnswer(t *testing.T) {
	const code = "a180b1a3d263c81bc6441d7b990bae27d4c10679"
	_, good := key()
	pem := strconv.Quote(string(good))
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"made":         {201, `{"id":5,"slug":"rung","owner":{"login":"acme"},"html_url":"https://github.com/apps/rung","pem":` + pem + `,"webhook_secret":"0123456789abcdef"}`, ""},
		"no webhook":   {201, `{"id":5,"slug":"rung","pem":` + pem + `,"webhook_secret":null}`, ""},
		"no number":    {201, `{"slug":"rung","pem":` + pem + `}`, "not as GitHub's API does"},
		"no slug":      {201, `{"id":5,"pem":` + pem + `}`, "not as GitHub's API does"},
		"half":         {201, `{"id":5,`, "not as GitHub's API does"},
		"no key":       {201, `{"id":5,"slug":"rung"}`, "made the App rung (number 5), and gave no RSA key for it"},
		"a broken key": {201, `{"id":5,"slug":"rung","pem":"-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n"}`, "gave no RSA key"},
		"spent":        {404, `{"message":"Not Found"}`, "used before"},
		"spam":         {422, `{"message":"Validation Failed"}`, "used before"},
		"limited":      {429, `{"message":"` + strings.Repeat("slow ", 100) + `"}`, "until its limit is over"},
		"down":         {500, `{}`, "status 500 (Internal Server Error)"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != "/api/v3/app-manifests/"+code+"/conversions" || r.Header.Get("Authorization") != "" {
					t.Errorf("asked %s %s", r.Method, r.URL)
				}
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			v, err := forge.NewVisitor(server.URL+"/api/v3/", nil)
			if err != nil {
				t.Fatal(err)
			}
			app, err := v.NewApp(t.Context(), code)
			if c.says == "" {
				if err != nil || app.ID != 5 || app.Slug != "rung" || app.PrivateKey.Reveal() != string(good) {
					t.Errorf("%+v, %v", app, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), code) || strings.Contains(err.Error(), "c2VjcmV0") || len(err.Error()) > 400 {
				t.Errorf("too much is said: %v", err)
			}
			if errors.Is(err, forge.ErrCodeSpent) != (c.says == "used before") {
				t.Errorf("spent: %v", err)
			}
		})
	}
}
