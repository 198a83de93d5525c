package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/setup"
)

// setupCommand makes the App.
type setupCommand struct {
	GitHub  string   `name:"github" placeholder:"URL" help:"The GitHub server; without it RUNG_GITHUB_URL, or https://github.com."`
	Org     string   `placeholder:"NAME" help:"The organisation that owns the App; without it your own account at GitHub."`
	URL     string   `name:"url" placeholder:"URL" help:"The https address under which GitHub will reach rung, such as https://rung.example.com. Required; it need not answer yet."`
	Name    string   `placeholder:"NAME" help:"The App's name; without it rung-ORG, or what you type at GitHub."`
	Without []string `placeholder:"PERMISSION" help:"A permission to leave out, with its events: actions, deployments, merge_queues, packages or members."`
	Dir     string   `type:"path" default:"rung-secrets" help:"Where the secrets are written: a new directory, or one that only you can read; not RUNG_DATA."`
	Listen  string   `placeholder:"HOST:PORT" default:"127.0.0.1:0" help:"The loopback address for the page; port 0 takes a free one."`
	JSON    bool     `help:"Print what was made as JSON, and the link on standard error."`
}

// Help tells the flow.
func (setupCommand) Help() string {
	return "Prints a link. Its page sends you to GitHub with a manifest: the least permissions and the events that rung uses. GitHub makes the App and sends you back; rung then writes the App's private key and webhook secret, a release key, a root key and an environment file that names them. Secrets are never shown, and nothing is overwritten. docs/setup.md tells the same by hand."
}

// Run serves the page and tells what was made.
func (c setupCommand) Run(ctx context.Context, io streams) error {
	o, err := c.options(io)
	if err != nil {
		return err
	}
	s, err := setup.New(ctx, o)
	if err != nil {
		return err
	}
	console := io.out
	if c.JSON {
		console = io.err
	}
	invite(console, s)
	result, err := s.Run(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return encodeSetup(io, result)
	}
	return tell(io.out, result)
}

// options reads the settings that matter here, and no others: those that setup is
// to make can't be right yet.
func (c setupCommand) options(io streams) (setup.Options, error) {
	var env []string
	for _, pair := range io.env {
		if strings.HasPrefix(pair, "RUNG_DATA=") || c.GitHub == "" && strings.HasPrefix(pair, "RUNG_GITHUB_URL=") {
			env = append(env, pair)
		}
	}
	if c.GitHub != "" {
		env = append(env, "RUNG_GITHUB_URL="+c.GitHub)
	}
	s, err := settings.Load(env)
	if err != nil {
		return setup.Options{}, err
	}
	return setup.Options{
		GitHub: s.GitHubURL, API: s.APIURL(), Org: c.Org, URL: c.URL, Name: c.Name, Without: c.Without, Dir: c.Dir, Data: s.Data, Listen: c.Listen,
		Say: func(text string) { fmt.Fprintln(io.err, text) },
	}, nil
}

// invite shows the link.
func invite(w io.Writer, s *setup.Setup) {
	_, port := s.Address()
	for _, name := range s.Without() {
		fmt.Fprintf(w, "This server is too old for the permission %s; the App is made without it.\n", name)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "THIS-MACHINE"
	}
	fmt.Fprintf(w, `Open this link in a browser on this machine. It works once, and for an hour; whoever has it makes the App.

  %s

Is the browser on another machine? Run there: ssh -L %s:127.0.0.1:%s %s
and open the link there. Waiting; Ctrl-C stops.

`, s.Link(), port, port, host)
}

// tell says what was made and what comes next.
func tell(w io.Writer, r *setup.Result) error {
	fmt.Fprintf(w, "The GitHub App %s (number %d) is made. In %s:\n\n", r.App.Slug, r.App.ID, r.Dir)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range r.Files {
		fmt.Fprintf(t, "  %s\t%s\n", f.Name, strings.TrimSpace(f.Says+" "+f.Fingerprint))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Lacks) > 0 {
		fmt.Fprintf(w, "\nGitHub did not give all that was asked for. Missing: %s. Change it at %s/permissions\n", strings.Join(r.Lacks, ", "), r.SettingsURL)
	}
	if r.OwnSecret {
		fmt.Fprintf(w, "\nGitHub made no webhook secret: put the one in webhook-secret in at %s\n", r.SettingsURL)
	}
	root := setup.Quote(filepath.Join(r.Dir, "rung-root"))
	fmt.Fprintf(w, `
Next:
1. Install the App on the GitOps repository: %s
2. Carry the root key away from this machine: copy rung-root to where it is kept offline, give it a
   passphrase there (ssh-keygen -p -f rung-root), and remove it here: rm %s
   Until a trust list that it signed is in force (rung keys rotate), the release key is its own root.
3. Start rung: rung serve --settings %[3]s
4. A repository without rung.yaml gets one: rung init --settings %[3]s --pull-request OWNER/NAME
`, r.InstallURL, root, setup.Quote(filepath.Join(r.Dir, "rung.env")))
	return nil
}

// madeApp is the App in JSON.
type madeApp struct {
	ID       int64  `json:"id"`
	Slug     string `json:"slug"`
	Name     string `json:"name"`
	Owner    string `json:"owner"`
	Install  string `json:"installUrl"`
	Settings string `json:"settingsUrl"`
}

// madeFile is a file in JSON.
type madeFile struct {
	Path        string `json:"path"`
	Secret      bool   `json:"secret"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Says        string `json:"says"`
}

func encodeSetup(io streams, r *setup.Result) error {
	out := struct {
		App     madeApp    `json:"app"`
		Files   []madeFile `json:"files"`
		Missing []string   `json:"missingPermissions"`
	}{
		App:     madeApp{r.App.ID, r.App.Slug, r.App.Name, r.App.Owner, r.InstallURL, r.SettingsURL},
		Missing: append([]string{}, r.Lacks...),
	}
	for _, f := range r.Files {
		out.Files = append(out.Files, madeFile{filepath.Join(r.Dir, f.Name), f.Secret, f.Fingerprint, f.Says})
	}
	return encode(io, out)
}
