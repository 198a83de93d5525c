package settings

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/nearest"

	"github.com/caarlos0/env/v10"
)

// Settings are the process's settings. Doc comments are what docs/settings.md
// says. Tags: env and envDefault are caarlos0/env's; file:"true" marks a secret
// that may also come from the file named by the variable with _FILE behind it.
type Settings struct {
	// The address to listen on, host:port; without a host, every address.
	Listen string `env:"RUNG_LISTEN" envDefault:":8080"`
	// The directory for the queue and caches. It holds no key and no only copy
	// of anything: it may be deleted at any moment. `rung serve` refuses to
	// start when it finds a private key in it.
	Data string `env:"RUNG_DATA" envDefault:"/var/lib/rung"`
	// The address under which people reach the board, for links in pull
	// requests and checks; without it there are no links.
	BoardURL string `env:"RUNG_BOARD_URL"`

	// The GitHub server's web address: https://github.com, a GitHub Enterprise
	// Server's root, or a subdomain of ghe.com. Plain http is taken on loopback
	// only.
	GitHubURL string `env:"RUNG_GITHUB_URL" envDefault:"https://github.com"`
	// The number of the GitHub App that rung is.
	GitHubAppID int64 `env:"RUNG_GITHUB_APP_ID"`
	// The App's private key, PEM.
	GitHubPrivateKey Secret `env:"RUNG_GITHUB_PRIVATE_KEY" file:"true"`
	// The App's webhook secret, at least 16 bytes; two, separated by a comma
	// or a newline, while one is being replaced.
	GitHubWebhookSecrets []Secret `env:"RUNG_GITHUB_WEBHOOK_SECRETS" file:"true"`

	// The release key that signs commits and records: an Ed25519 private key,
	// as `rung keys init` and ssh-keygen write it. `rung serve` never makes one,
	// and it is not the App's key.
	SigningKey Secret `env:"RUNG_SIGNING_KEY" file:"true"`
	// The release key where an ssh-agent holds it, instead of RUNG_SIGNING_KEY:
	// its public half (ssh-ed25519 AAAA…), the .pub file that holds that, or its
	// fingerprint (SHA256:…). The agent is the one at SSH_AUTH_SOCK.
	SigningKeyAgent string `env:"RUNG_SIGNING_KEY_AGENT"`
	// The socket of the ssh-agent that holds the release key, as ssh-agent sets
	// it.
	AgentSocket string `env:"SSH_AUTH_SOCK"`
	// The root keys, which decide whose signatures count: their public halves
	// (ssh-ed25519 AAAA…) or the .pub files that hold them, separated by commas.
	// Without them the release key is its own root, which serve says at its start.
	RootKeys string `env:"RUNG_ROOT_KEYS"`
	// A file of rotate statements, one a line, as `rung keys rotate` writes them;
	// those of other repositories are passed over. It is read again at each look
	// at a ledger, and what a root key signed is carried into it.
	TrustFile string `env:"RUNG_TRUST_FILE"`

	// The registry that the user name and password below are for, host or
	// host:port; they are sent to no other. For several registries use a
	// Docker configuration file (DOCKER_CONFIG) instead.
	RegistryHost string `env:"RUNG_REGISTRY_HOST"`
	// The user name for that registry.
	RegistryUsername string `env:"RUNG_REGISTRY_USERNAME"`
	// The password or token for that registry.
	RegistryPassword Secret `env:"RUNG_REGISTRY_PASSWORD" file:"true"`
	// Whether registries on loopback may be asked over plain http; others
	// never are.
	RegistryInsecure bool `env:"RUNG_REGISTRY_INSECURE" envDefault:"false"`

	// What is logged: debug, info, warn or error, and what is worse.
	LogLevel string `env:"RUNG_LOG_LEVEL" envDefault:"info"`
	// How: json, console (for people), or auto: console on a terminal,
	// otherwise json.
	LogFormat string `env:"RUNG_LOG_FORMAT" envDefault:"auto"`

	// The largest webhook body that is read, in bytes. GitHub delivers up to
	// 25 MiB.
	WebhookMaxBytes int64 `env:"RUNG_WEBHOOK_MAX_BYTES" envDefault:"26214400"`
	// How often each repository is looked at without an event, so that a lost
	// one costs only time.
	Resync time.Duration `env:"RUNG_RESYNC" envDefault:"10m"`
	// How long a record that nothing waits for may wait for company, so that
	// one push carries several.
	Coalesce time.Duration `env:"RUNG_COALESCE" envDefault:"10s"`
	// How long after its authorisation is pushed rung may still merge. Others
	// wait 60s, so it is 30s at most.
	MergeFence time.Duration `env:"RUNG_MERGE_FENCE" envDefault:"30s"`

	// The address of a running rung, for the commands status, why, plan and history:
	// what RUNG_BOARD_URL is to people. Without it they work on a clone. rung serve
	// does not use it.
	URL string `env:"RUNG_URL"`
	// What those commands sign in with, where something before rung asks for it: a
	// bearer token, or user:password. It is sent over https only, or to loopback.
	Token Secret `env:"RUNG_TOKEN" file:"true"`

	// PostgreSQL for several replicas. Not supported yet: setting it is an
	// error.
	DatabaseURL Secret `env:"RUNG_DATABASE_URL"`
}

// Problem is one thing wrong with the settings.
type Problem struct {
	// Variable is the environment variable, or empty for the data directory.
	Variable string
	// Text says what is wrong and what to do. It shows no secret.
	Text string
}

// Error is everything wrong with the settings, sorted by variable.
type Error struct{ Problems []Problem }

// Error has one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, strings.TrimPrefix(p.Variable+": "+p.Text, ": "))
	}
	return "settings: " + strings.Join(lines, "\nsettings: ")
}

// Load reads the settings from an environment ("NAME=value", as os.Environ
// gives it) and the files that it names. Variables that don't begin with RUNG_
// are ignored, SSH_AUTH_SOCK apart. Nothing is required here, so that every subcommand can use it;
// see CheckServe. The error is an *Error.
func Load(environ []string) (Settings, error) {
	l := &loader{env: map[string]string{}}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && (strings.HasPrefix(name, "RUNG_") || name == "SSH_AUTH_SOCK") {
			l.env[name] = value
		}
	}
	fields := settingFields()
	l.checkNames(fields)
	files := l.readFiles(fields)
	s := Settings{}
	err := env.ParseWithOptions(&s, env.Options{
		Environment: l.env,
		FuncMap: map[reflect.Type]env.ParserFunc{
			reflect.TypeFor[Secret](): func(text string) (any, error) { return NewSecret(text), nil },
			reflect.TypeFor[[]Secret](): func(text string) (any, error) {
				return splitSecrets(text), nil
			},
		},
	})
	l.explain(fields, err)
	l.check(&s)
	for variable, path := range files {
		l.checkOutside(variable, path, s.Data)
	}
	if len(l.problems) > 0 {
		slices.SortFunc(l.problems, func(a, b Problem) int {
			return strings.Compare(a.Variable+"\x00"+a.Text, b.Variable+"\x00"+b.Text)
		})
		return Settings{}, &Error{Problems: slices.Compact(l.problems)}
	}
	return s, nil
}

type loader struct {
	env      map[string]string
	problems []Problem
}

func (l *loader) report(variable, format string, args ...any) {
	l.problems = append(l.problems, Problem{Variable: variable, Text: fmt.Sprintf(format, args...)})
}

// field is a field of Settings.
type field struct {
	name, variable string
	typ            reflect.Type
	// file is true when the variable with _FILE exists as well.
	file bool
}

func settingFields() []field {
	var fields []field
	typ := reflect.TypeFor[Settings]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		fields = append(fields, field{name: f.Name, variable: f.Tag.Get("env"), typ: f.Type, file: f.Tag.Get("file") == "true"})
	}
	return fields
}

// checkNames refuses unknown variables: a mistyped one would be a setting
// silently not made.
func (l *loader) checkNames(fields []field) {
	var known []string
	for _, f := range fields {
		known = append(known, f.variable)
		if f.file {
			known = append(known, f.variable+"_FILE")
		}
	}
	for name := range l.env {
		if slices.Contains(known, name) {
			continue
		}
		hint := "docs/settings.md lists those there are; unset it"
		if base, isFile := strings.CutSuffix(name, "_FILE"); isFile && slices.Contains(known, base) {
			hint = base + " is no secret and is not read from a file"
		} else if near := nearest.Name(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		l.report(printable(name), "there is no such setting: %s", hint)
	}
}

// explain turns the parser's errors into problems.
func (l *loader) explain(fields []field, err error) {
	if err == nil {
		return
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		l.report("", "%v", err)
		return
	}
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			l.report("", "%v", err)
			continue
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == parse.Name })
		if i < 0 {
			l.report("", "%v", err)
			continue
		}
		form := map[reflect.Kind]string{reflect.Bool: "true or false", reflect.Int64: "a whole number"}[parse.Type.Kind()]
		if parse.Type == reflect.TypeFor[time.Duration]() {
			form = "a duration such as 30s or 10m"
		}
		l.report(fields[i].variable, "must be %s, not %s", form, shown(l.env[fields[i].variable]))
	}
}

// check judges values that were read.
func (l *loader) check(s *Settings) {
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || !isPort(port) {
		l.report("RUNG_LISTEN", "must be host:port or :port, such as 127.0.0.1:8080, not %s", shown(s.Listen))
	}
	if !s.DatabaseURL.Empty() {
		l.report("RUNG_DATABASE_URL", "PostgreSQL is not supported yet: unset it; the queue is kept in RUNG_DATA, by one process")
	}
	if !s.SigningKey.Empty() && s.SigningKeyAgent != "" {
		l.report("RUNG_SIGNING_KEY_AGENT", "is set as well as RUNG_SIGNING_KEY: unset one of them")
	}
	s.GitHubURL = l.checkURL("RUNG_GITHUB_URL", s.GitHubURL, true)
	if s.BoardURL != "" {
		s.BoardURL = l.checkURL("RUNG_BOARD_URL", s.BoardURL, false)
	}
	l.checkClient(s)
	if _, set := l.env["RUNG_GITHUB_APP_ID"]; set && s.GitHubAppID <= 0 && !l.reported("RUNG_GITHUB_APP_ID") {
		l.report("RUNG_GITHUB_APP_ID", "must be the App's number, which its settings page shows")
	}
	l.checkKeys(s)
	l.checkRegistry(s)
	l.oneOf("RUNG_LOG_LEVEL", s.LogLevel, "debug", "info", "warn", "error")
	l.oneOf("RUNG_LOG_FORMAT", s.LogFormat, "json", "console", "auto")
	if l.reported("RUNG_WEBHOOK_MAX_BYTES") {
		// told already
	} else if s.WebhookMaxBytes < 1<<10 || s.WebhookMaxBytes > 64<<20 {
		l.report("RUNG_WEBHOOK_MAX_BYTES", "must lie between 1024 and 67108864, not %d", s.WebhookMaxBytes)
	}
	l.between("RUNG_RESYNC", s.Resync, 10*time.Second, 24*time.Hour)
	l.between("RUNG_COALESCE", s.Coalesce, 0, time.Minute)
	l.between("RUNG_MERGE_FENCE", s.MergeFence, time.Second, 30*time.Second)
}

func isPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// reported reports whether a variable could not be parsed, so that its value is
// not worth judging.
func (l *loader) reported(variable string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Variable == variable })
}

func (l *loader) oneOf(variable, value string, known ...string) {
	if !slices.Contains(known, value) {
		l.report(variable, "must be %s, not %s", strings.Join(known, ", "), shown(value))
	}
}

func (l *loader) between(variable string, d, low, high time.Duration) {
	if !l.reported(variable) && (d < low || d > high) {
		l.report(variable, "must lie between %s and %s, not %s", low, high, d)
	}
}

// checkURL checks a server's address and returns it without a trailing slash.
func (l *loader) checkURL(variable, text string, secure bool) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		l.report(variable, "must be a web address such as https://github.example.com")
	case u.User != nil:
		l.report(variable, "must carry no user or password")
	case secure && u.Scheme == "http" && !isLoopback(u.Hostname()):
		l.report(variable, "must be https: plain http is taken on loopback only, for tokens travel over it")
	}
	return strings.TrimRight(text, "/")
}

// isLoopback reports whether a host is this machine by its name or number.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (l *loader) checkRegistry(s *Settings) {
	if (s.RegistryUsername == "") != s.RegistryPassword.Empty() {
		l.report("RUNG_REGISTRY_USERNAME", "goes with RUNG_REGISTRY_PASSWORD: set both or none")
	}
	if s.RegistryHost == "" && (s.RegistryUsername != "" || !s.RegistryPassword.Empty()) {
		l.report("RUNG_REGISTRY_HOST", "is missing: name the registry that the user name and password are for, so that they are sent to no other")
	}
	if s.RegistryHost != "" && strings.ContainsAny(s.RegistryHost, "/@ \t\r\n") {
		l.report("RUNG_REGISTRY_HOST", "must be a host or host:port such as ghcr.io, not %s", shown(s.RegistryHost))
	}
}

// CheckServe tells what `rung serve` needs beyond Load: the App, its secrets,
// the signing key, and a data directory without keys. The error is an *Error.
func (s Settings) CheckServe() error {
	return s.checkNeeded(true)
}

// CheckReconcile is CheckServe for a process that listens to nothing.
func (s Settings) CheckReconcile() error {
	return s.checkNeeded(false)
}

func (s Settings) checkNeeded(webhooks bool) error {
	l := &loader{}
	if s.GitHubAppID == 0 {
		l.report("RUNG_GITHUB_APP_ID", "is missing: write the App's number, which its settings page shows")
	}
	if s.GitHubPrivateKey.Empty() {
		l.report("RUNG_GITHUB_PRIVATE_KEY", "is missing: set it, or RUNG_GITHUB_PRIVATE_KEY_FILE, to the key that the App's settings page made")
	}
	if webhooks && len(s.GitHubWebhookSecrets) == 0 {
		l.report("RUNG_GITHUB_WEBHOOK_SECRETS", "is missing: set it, or RUNG_GITHUB_WEBHOOK_SECRETS_FILE, to the App's webhook secret; unsigned webhooks are never taken")
	}
	switch {
	case s.SigningKey.Empty() && s.SigningKeyAgent == "":
		l.report("RUNG_SIGNING_KEY", "is missing: make a key with rung keys init outside %s, and name its file in RUNG_SIGNING_KEY_FILE", s.Data)
	case s.SigningKeyAgent != "" && s.AgentSocket == "":
		l.report("RUNG_SIGNING_KEY_AGENT", "needs SSH_AUTH_SOCK: run serve with the agent's socket in its environment")
	}
	if err := CheckDataDir(s.Data); err != nil {
		l.report("RUNG_DATA", "%v", err)
	}
	if len(l.problems) > 0 {
		return &Error{Problems: l.problems}
	}
	return nil
}

// shown is a value in a problem. A long one is not shown: it may be a secret
// that was put in the wrong variable.
func shown(value string) string {
	if len(value) > 24 {
		return "what it is (" + strconv.Itoa(len(value)) + " bytes)"
	}
	return strconv.Quote(value)
}

// printable shows a value that isn't secret: quoted where it must be, cut at
// 80 bytes.
func printable(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	if strings.HasPrefix(s, "RUNG_") && !strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		return s
	}
	return strconv.Quote(s)
}
