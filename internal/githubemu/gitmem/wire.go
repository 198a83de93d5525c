package gitmem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

// agent is how the server names itself. It begins as git's own does.
const agent = "agent=git/gitmem"

// hiddenRefs cannot be pushed to; they are GitHub's own.
const hiddenRefs = "refs/pull/"

// maxArguments bounds the lines of one fetch or ls-refs request.
const maxArguments = 200_000

// Handler serves smart HTTP; see gitstore.Repository.
func (r *repository) Handler() http.Handler {
	return smarthttp.Handler(wire{r})
}

// wire is the repository as smarthttp sees it. An error without an answer is
// what stock git does with a request it does not understand.
type wire struct{ *repository }

// Advertise writes capabilities in version 2, and refs with capabilities in
// version 0.
func (r wire) Advertise(_ context.Context, service, protocol string, w io.Writer) error {
	var out bytes.Buffer
	switch {
	case service == smarthttp.UploadPack && r.versionTwo(protocol):
		fetch := "fetch=shallow wait-for-done"
		if !r.options.NoFilter {
			fetch += " filter"
		}
		for _, line := range []string{"version 2", agent, "ls-refs=unborn", fetch, "server-option", "object-format=sha1"} {
			writeLine(&out, line)
		}
	case service == smarthttp.UploadPack:
		r.advertiseRefs(&out, r.uploadCapabilities(), true)
	default:
		r.advertiseRefs(&out, r.receiveCapabilities(), false)
	}
	writeSpecial(&out, smarthttp.Flush)
	_, err := out.WriteTo(w)
	return err
}

func (r wire) versionTwo(protocol string) bool {
	return smarthttp.VersionTwo(protocol) && !r.options.NoProtocolV2
}

func (r wire) uploadCapabilities() string {
	return "symref=HEAD:" + r.head + " object-format=sha1 " + agent
}

func (r wire) receiveCapabilities() string {
	atomic := "atomic "
	if r.options.NoAtomic {
		atomic = ""
	}
	return "report-status delete-refs side-band-64k quiet " + atomic + "ofs-delta object-format=sha1 " + agent
}

// advertiseRefs writes the version 0 advertisement, for fetching (with HEAD
// and peeled tags) or for pushing (without the hidden refs).
func (r wire) advertiseRefs(out *bytes.Buffer, capabilities string, fetching bool) {
	refs := r.snapshot()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if !fetching && strings.HasPrefix(name, hiddenRefs) {
			continue
		}
		lines = append(lines, refs[name]+" "+name)
		if peeled, _, ok := r.peel(refs[name]); fetching && ok && peeled != refs[name] {
			lines = append(lines, peeled+" "+name+"^{}")
		}
	}
	if id := refs[r.head]; fetching && id != "" {
		lines = slices.Insert(lines, 0, id+" HEAD")
	}
	if len(lines) == 0 {
		lines = []string{gitstore.Zero + " capabilities^{}"}
	}
	lines[0] += "\x00" + capabilities
	for _, line := range lines {
		writeLine(out, line)
	}
}

func (r wire) snapshot() map[string]string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.refs)
}

// The answer is built in a buffer, which takes everything.

func writeLine(out *bytes.Buffer, line string) { _ = smarthttp.WritePacket(out, []byte(line+"\n")) }

func writeSpecial(out *bytes.Buffer, kind smarthttp.Kind) { _ = smarthttp.WriteSpecial(out, kind) }

// ServeUploadPack answers one version 2 command.
func (r wire) ServeUploadPack(_ context.Context, protocol string, request []byte, w io.Writer) error {
	if !r.versionTwo(protocol) {
		return fmt.Errorf("upload-pack: only protocol version 2 is served")
	}
	command, arguments, err := parseCommand(request)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	switch command {
	case "ls-refs":
		err = r.listRefs(arguments, &out)
	case "fetch":
		err = r.fetch(arguments, &out)
	default:
		err = fmt.Errorf("upload-pack: unknown command %q", command)
	}
	if err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

// parseCommand takes a version 2 request apart; its capabilities need no
// answer.
func parseCommand(request []byte) (command string, arguments []string, err error) {
	body := bytes.NewReader(request)
	inArguments := false
	for {
		kind, line, err := smarthttp.ReadPacket(body)
		switch {
		case err != nil:
			return "", nil, fmt.Errorf("upload-pack: %w", err)
		case kind == smarthttp.Flush:
			return command, arguments, nil
		case kind == smarthttp.Delim && !inArguments:
			inArguments = true
			continue
		case kind != smarthttp.Data, len(arguments) == maxArguments:
			return "", nil, fmt.Errorf("upload-pack: unexpected packet")
		}
		text := strings.TrimSuffix(string(line), "\n")
		if inArguments {
			arguments = append(arguments, text)
		} else if name, ok := strings.CutPrefix(text, "command="); ok {
			command = name
		}
	}
}

func (r wire) listRefs(arguments []string, out *bytes.Buffer) error {
	var peel, symrefs, unborn bool
	var prefixes []string
	for _, a := range arguments {
		prefix, isPrefix := strings.CutPrefix(a, "ref-prefix ")
		switch {
		case a == "peel":
			peel = true
		case a == "symrefs":
			symrefs = true
		case a == "unborn":
			unborn = true
		case isPrefix:
			prefixes = append(prefixes, prefix)
		default:
			return fmt.Errorf("ls-refs: unexpected line: %q", a)
		}
	}
	wanted := func(name string) bool {
		return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	refs := r.snapshot()
	show := func(name, id, symref string) {
		line := id + " " + name
		if symref != "" && symrefs {
			line += " symref-target:" + symref
		}
		if peeled, _, ok := r.peel(id); peel && ok && peeled != id {
			line += " peeled:" + peeled
		}
		writeLine(out, line)
	}
	if id := refs[r.head]; wanted("HEAD") {
		if id != "" {
			show("HEAD", id, r.head)
		} else if unborn && symrefs {
			writeLine(out, "unborn HEAD symref-target:"+r.head)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if wanted(name) {
			show(name, refs[name], "")
		}
	}
	writeSpecial(out, smarthttp.Flush)
	return nil
}
