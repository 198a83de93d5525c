// Command rung is a GitOps promotion bot: a GitHub App that brings artifact
// versions through the environments of a git repository, one pull request at a
// time, and back.
//
// Each subcommand is a short file of its own. Exit codes: 0 holds, 1 does not
// hold, 2 could not judge or bad usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/settings"
)

// version is set by the linker.
var version = "dev"

// commandLine is the whole command line.
type commandLine struct {
	Setup     setupCommand     `cmd:"" help:"Make the GitHub App, its secrets and rung's keys, in a browser."`
	Init      initCommand      `cmd:"" help:"Find the environments and artifacts of a GitOps repository, and write its rung.yaml."`
	Doctor    doctorCommand    `cmd:"" help:"Say whether rung can work: this machine, the App, the repositories, and what to do."`
	Serve     serveCommand     `cmd:"" help:"Run the GitHub App service."`
	Reconcile reconcileCommand `cmd:"" help:"Do once what serve does all the time, for people without a server."`
	Demo      demoCommand      `cmd:"" help:"Watch a release climb and come back down, on an embedded GitHub."`
	Validate  validateCommand  `cmd:"" help:"Check rung.yaml, rung.d and the policies of a checkout."`
	Status    statusCommand    `cmd:"" help:"Say what is live where, and what becomes of it."`
	Why       whyCommand       `cmd:"" help:"Say what holds an artifact in an environment."`
	Plan      planCommand      `cmd:"" help:"Say what rung would do in a repository, and why."`
	Policy    policyCommand    `cmd:"" help:"Work on policies."`
	Verify    verifyCommand    `cmd:"" help:"Check a repository's signed history."`
	Keys      keysCommand      `cmd:"" help:"Make, change, revoke and show the keys whose signatures count."`
	History   historyCommand   `cmd:"" help:"Tell the story of an artifact through the environments."`
	Audit     auditCommand     `cmd:"" help:"Say who released what in an environment, when, why and on what evidence."`

	Completion completionCommand `cmd:"" help:"Print what makes a shell complete rung's commands."`
	Complete   completeCommand   `cmd:"" hidden:"" help:"Answer a shell."`

	Settings string           `type:"path" placeholder:"FILE" help:"File of settings (NAME=VALUE), such as the rung.env that rung setup writes. What is set in the environment goes before it."`
	Version  kong.VersionFlag `help:"Print the version and exit."`
}

// exitError ends the program with a code of its own; its text is printed when it
// has one.
type exitError struct {
	code int
	err  error
}

// Error is the text, empty when everything was said already.
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap is the error inside.
func (e *exitError) Unwrap() error { return e.err }

// doesNotHold is exit code 1 without another word.
var doesNotHold = &exitError{code: 1}

// streams are where a command reads and writes; tests change them.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Environ()})
	stop()
	os.Exit(code)
}

// run is the program: main without the process.
func run(ctx context.Context, args []string, io streams) int {
	ledger.Version = version
	var cl commandLine
	code := -1
	parser, err := kong.New(&cl, append(append(describe(), only(args)...),
		kong.Writers(io.out, io.err),
		kong.Exit(func(c int) { code = c }),
		kong.UsageOnError(),
	)...)
	if err != nil {
		fmt.Fprintln(io.err, "rung:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	if code >= 0 {
		return code // help or version was asked for
	}
	if err != nil {
		fmt.Fprintln(io.err, "rung:", err)
		return 2
	}
	if cl.Settings != "" {
		environ, err := settings.ReadFile(cl.Settings)
		if err != nil {
			fmt.Fprintln(io.err, "rung:", err)
			return 2
		}
		io.env = append(environ, io.env...) // of two the last one counts
	}
	ctx, io, gone := watched(ctx, io, parsed)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(io)
	gone()
	if err != nil {
		var exit *exitError
		if !errors.As(err, &exit) {
			exit = &exitError{code: 2, err: err}
		}
		if exit.Error() != "" {
			fmt.Fprintln(io.err, "rung:", exit.Error())
		}
		return exit.code
	}
	return 0
}

// only has the parser know no other command than the one that args begin with, if they
// begin with one: to take in all of them is a tenth of what a short command costs.
func only(args []string) []kong.Option {
	asked, others := false, []string(nil)
	for field := range reflect.TypeFor[commandLine]().Fields() {
		if _, isCommand := field.Tag.Lookup("cmd"); !isCommand {
			continue
		}
		if len(args) > 0 && args[0] == strings.ToLower(field.Name) {
			asked = true
		} else {
			others = append(others, field.Name)
		}
	}
	if !asked {
		return nil
	}
	return []kong.Option{kong.IgnoreFields(`^commandLine\.(` + strings.Join(others, "|") + `)$`)}
}

// logger writes as the settings say: JSON in service, readable on a terminal.
func logger(io streams, level, format string) zerolog.Logger {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	w := io.err
	if format == "console" || format != "json" && terminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05", NoColor: !colourful(io.err, io.env)}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger()
}
