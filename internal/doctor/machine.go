package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/forge"
)

// The bounds of the machine.
const (
	// fullDisk and scarceDisk are how much room is too little, in bytes.
	fullDisk, scarceDisk = 64 << 20, 1 << 30
	// GitHub refuses a token that begins more than a minute ahead or is over: rung's
	// begin a minute in the past and last five minutes.
	clockAhead, clockBehind = 60 * time.Second, 5 * time.Minute
	// clockNotice is a difference that is worth a warning.
	clockNotice = 15 * time.Second
)

// host judges this machine.
func (j *judge) host() {
	if len(j.f.Settings) > 0 {
		for _, problem := range j.f.Settings {
			j.line("settings", "", Failure, problem, "docs/settings.md lists every setting")
		}
	} else {
		j.ok("settings", "", "the settings can be read")
	}
	j.keys()
	j.database()
}

func (j *judge) keys() {
	key := j.f.Fingerprint
	switch {
	case !key.Looked:
		j.unjudged("signing-key", "root-key")
		return
	case key.Problem != "":
		j.line("signing-key", "", Failure, "the release key can't be used: "+key.Problem, "make one with rung keys init outside RUNG_DATA and name it in RUNG_SIGNING_KEY_FILE, or start the ssh-agent that holds it")
		j.unjudged("root-key")
		return
	}
	j.ok("signing-key", "", "records are signed by "+key.Value)
	if j.f.OwnRoot {
		j.line("root-key", "", Warning, "there is no root key: whoever has the release key can replace it", "make a root key with rung keys init, put it in force with rung keys rotate, and name its public half in RUNG_ROOT_KEYS (docs/keys.md)")
		return
	}
	j.ok("root-key", "", "a root key decides whose signatures count")
}

func (j *judge) database() {
	const id = "database"
	d := j.f.Database
	v := d.Value
	switch {
	case !d.Looked:
		j.unjudged(id)
	case d.Problem != "":
		j.blind(id, "", Failure, d.Problem, "see that rung's user may read and write the directory of RUNG_DATA")
	case v.Damage != "":
		j.line(id, "", Failure, fmt.Sprintf("%s is damaged: %s", v.Path, v.Damage), "stop rung, delete the file and start again: everything in it is found again")
	case v.Newer != "":
		j.line(id, "", Failure, fmt.Sprintf("%s can't be used: %s", v.Path, v.Newer), "start the newer rung again, or stop rung, delete the directory of RUNG_DATA and start this one (docs/upgrades.md)")
	case !v.Writable:
		j.line(id, "", Failure, v.Path+" can't be written by this user", "give the directory of RUNG_DATA to the user that rung runs as, or run rung doctor as that user")
	case v.Room && v.Free < fullDisk:
		j.line(id, "", Failure, fmt.Sprintf("the disk of %s has %s left", v.Path, size(v.Free)), "make room, or put RUNG_DATA on another disk")
	case v.Room && v.Free < scarceDisk:
		j.line(id, "", Warning, fmt.Sprintf("the disk of %s has %s left", v.Path, size(v.Free)), "make room, or put RUNG_DATA on another disk")
	case v.Absent:
		j.ok(id, "", fmt.Sprintf("%s is not there yet; rung serve makes it%s", v.Path, v.left()))
	case v.InUse:
		j.ok(id, "", fmt.Sprintf("%s is whole, %s%s, and in use by a running rung%s", v.Path, size(v.Bytes), v.newer(), v.left()))
	default:
		j.ok(id, "", fmt.Sprintf("%s is whole, %s%s%s", v.Path, size(v.Bytes), v.newer(), v.left()))
	}
}

// newer tells of a file that this rung may use, of a newer one.
func (d *Database) newer() string {
	if d.Schema == 0 {
		return ""
	}
	return fmt.Sprintf(", of a newer rung (schema %d), which lets this one use it", d.Schema)
}

func (d *Database) left() string {
	if !d.Room {
		return "; the room on its disk is not known on this system"
	}
	return "; its disk has " + size(d.Free) + " left"
}

func size(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)>>10)
}

// github judges the way to the server and the clock. It reports whether there is
// any use in asking on.
func (j *judge) github() bool {
	const id = "github"
	a := j.f.GitHub
	fix := "mend RUNG_GITHUB_URL: https://github.com, your Enterprise Server's root, or a subdomain of ghe.com"
	switch {
	case !a.Looked:
		j.unjudged(append([]string{id}, idsAfter(GroupApp, id)...)...)
		j.noRepositories()
		return false
	case a.Problem != "":
		j.blind(id, "", Failure, j.f.GitHubURL+" does not answer: "+a.Problem, "see that this machine reaches that address, also through its proxy; or "+fix)
	case !a.Value.GitHub:
		j.line(id, "", Failure, fmt.Sprintf("%s answers (%d), but not as a GitHub server does", j.f.GitHubURL, a.Value.Status), fix)
	default:
		j.ok(id, "", j.f.GitHubURL+" answers as GitHub does")
		j.clock()
		return true
	}
	j.unjudged(idsAfter(GroupApp, id)...)
	j.noRepositories()
	return false
}

func (j *judge) noRepositories() {
	j.unjudged(idsOf(GroupRepository)...)
	if j.f.Production {
		j.unjudged(idsOf(GroupProduction)...)
	}
}

// skew is how far this machine's clock is ahead of the server's.
func skew(a forge.Answer) time.Duration { return a.Here.Sub(a.Date).Truncate(time.Second) }

func wrongClock(a forge.Answer) bool {
	return !a.Date.IsZero() && (skew(a) >= clockAhead || skew(a) <= -clockBehind)
}

func (j *judge) clock() {
	const id = "clock"
	a := j.f.GitHub.Value
	if a.Date.IsZero() {
		j.blind(id, "", Warning, "GitHub's answer shows no time", "compare this machine's clock with another by hand")
		return
	}
	d := skew(a)
	where := "ahead of"
	if d < 0 {
		where = "behind"
	}
	text := fmt.Sprintf("this machine's clock is %s %s GitHub's", span(d.Abs()), where)
	fix := "let this machine take its time from the network (chrony, systemd-timesyncd), then run rung doctor again"
	switch {
	case wrongClock(a):
		j.line(id, "", Failure, text+", so that GitHub refuses the App's tokens", fix)
	case d.Abs() > clockNotice:
		j.line(id, "", Warning, text, fix)
	default:
		j.ok(id, "", "this machine's clock agrees with GitHub's")
	}
}

// span is a duration for people.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// list joins names for a sentence.
func list(names []string) string { return strings.Join(names, ", ") }
