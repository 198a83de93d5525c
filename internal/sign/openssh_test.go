package sign

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// sayAlike holds one file to ssh-keygen -Y verify: what this package takes,
// ssh-keygen judges alike.
func sayAlike(t *testing.T, armoured, file, principal string, at time.Time) {
	t.Helper()
	signers, err := ParseAllowedSigners([]byte(file))
	if err != nil || !isPrincipal(principal) {
		return // stricter than ssh-keygen: nothing to compare
	}
	ours := weAccept(signers, armoured, principal, at)
	if theirs := opensshAccepts(t, t.TempDir(), file, armoured, principal, at); ours != theirs {
		t.Errorf("%s at %s: we say %v, ssh-keygen %v to\n%s", principal, at.UTC().Format(time.RFC3339), ours, theirs, file)
	}
}

// FuzzAllowedSignersLikeOpenSSH compares with the real ssh-keygen. KEY and OTHER
// stand for a key that signed and one that did not; seconds are the time of
// signing, from the year 2000 on.
func FuzzAllowedSignersLikeOpenSSH(f *testing.F) {
	key, other := newKey(f), newKey(f)
	armoured, err := key.Sign(message)
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range []string{
		"rung KEY", "rung,alice KEY x", "alice OTHER\nrung KEY\n", `rung namespaces="git" KEY`, `rung namespaces="file" KEY`, `rung namespaces="file,git" KEY c d`,
		`rung valid-after="20240101Z" KEY`, `rung valid-before="202401010000Z" KEY`, `rung valid-after="20230101Z",valid-before="20240101120000Z" KEY`,
		"# rung KEY", "\t rung\t KEY", `rung-root namespaces="rung-trust" OTHER` + "\n" + `rung namespaces="git",valid-before="20240101Z" KEY` + "\n", "RUNG KEY", "rung  KEY  ",
		`rung valid-before="20240101Z" KEY` + "\n" + `rung valid-after="20240101Z" KEY`,
	} {
		f.Add(line, "rung", uint32(24*365*86400))
	}
	f.Fuzz(func(t *testing.T, file, principal string, seconds uint32) {
		file = strings.NewReplacer("OTHER", other.Public().AuthorizedKey(), "KEY", key.Public().AuthorizedKey()).Replace(file)
		sayAlike(t, armoured, file, principal, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds)*time.Second))
	})
}

// TestAllowedSignersLikeOpenSSH makes files that are mostly right by chance, and
// asks at the edges of their times.
func TestAllowedSignersLikeOpenSSH(t *testing.T) {
	key, other := newKey(t), newKey(t)
	armoured, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	const cases = 150
	r := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- to be played again
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	taken := 0
	for range cases {
		edge := time.Date(2024, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC)
		stamp := func(at time.Time) string {
			return at.Format(pick("20060102", "200601021504", "20060102150405")) + pick("Z", "Z", "Z", "")
		}
		var b strings.Builder
		for range 1 + r.IntN(3) {
			var options []string
			for _, o := range []string{
				`namespaces="` + pick("git", "file", "git,file", "file,git", "*") + `"`,
				`valid-after="` + stamp(edge.Add(-time.Duration(r.IntN(3))*24*time.Hour)) + `"`,
				`valid-before="` + stamp(edge.Add(time.Duration(r.IntN(3))*24*time.Hour)) + `"`,
			} {
				if r.IntN(2) == 0 {
					options = append(options, o)
				}
			}
			fmt.Fprintf(&b, "%s %s%s%s%s", pick("rung", "rung,alice", "alice", "rung-root", "rung*"), strings.Join(options, ","), pick(" ", "  ", "\t"),
				pick(key.Public().AuthorizedKey(), key.Public().AuthorizedKey(), other.Public().AuthorizedKey()), pick("\n", " a comment\n", "\n\n", "\n# more\n"))
		}
		if _, err := ParseAllowedSigners([]byte(b.String())); err == nil {
			taken++
		}
		for _, at := range []time.Time{edge, edge.Add(-time.Second), edge.Truncate(24 * time.Hour), edge.Truncate(time.Minute)} {
			sayAlike(t, armoured, b.String(), pick("rung", "alice"), at)
		}
	}
	if taken < cases/4 {
		t.Errorf("only %d of %d files are taken: this shows little", taken, cases)
	}
}
