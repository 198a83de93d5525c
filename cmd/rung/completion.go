package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/local"
	"github.com/rungbot/rung/internal/pipeline"
)

// completionCommand prints a shell's script. The script asks the program itself, by
// the hidden command complete, so that it never grows old.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Help says where the script goes.
func (completionCommand) Help() string {
	return `Commands, flags and their values are completed, and the artifacts and environments of the rung.yaml in the current directory. bash: source <(rung completion bash), in ~/.bashrc. zsh: source <(rung completion zsh), in ~/.zshrc after compinit. fish: rung completion fish | source, in config.fish.`
}

// Run prints the script.
func (c completionCommand) Run(io streams) error {
	_, err := fmt.Fprint(io.out, completionScripts[c.Shell])
	return err
}

var completionScripts = map[string]string{
	"bash": `# Completion of rung for bash.
_rung() {
    local line found
    COMPREPLY=()
    found=$("${COMP_WORDS[0]}" complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
    if [[ $found == :files ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    while IFS= read -r line; do
        [[ -n $line ]] && COMPREPLY+=("$line")
    done <<<"$found"
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _rung rung
`,
	"zsh": `#compdef rung
# Completion of rung for zsh.
_rung() {
    local found
    found="$("${words[1]}" complete zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)" || return
    if [[ $found == :files ]]; then
        compset -P '--*='
        _files
        return
    fi
    local -a all
    all=(${(f)found})
    compadd -S '' -- ${(M)all:#*=}
    compadd -- ${all:#*=}
}
compdef _rung rung
`,
	"fish": `# Completion of rung for fish.
function __rung_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] complete fish -- $words[2..-1] "$current" 2>/dev/null)
    if test "$found" = :files
        __fish_complete_path "$current"
    else
        printf '%s\n' $found
    end
end
complete -c rung -f -a '(__rung_complete)'
`,
}

// files is the answer where the shell completes paths by itself.
const files = ":files"

// completeCommand answers a shell: the words that the last one may become, one a
// line. It says nothing where it knows nothing, and never fails.
type completeCommand struct {
	Shell string   `arg:"" enum:"bash,zsh,fish" help:"Shell that asks."`
	Words []string `arg:"" optional:"" help:"Words typed so far; the last one is completed."`
}

// Run prints the answer.
func (c completeCommand) Run(io streams) error {
	all, everywhere, err := commandTable()
	if err != nil {
		return err
	}
	words := c.Words
	if c.Shell == "bash" {
		words = rejoined(words)
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, w := range completed(all, everywhere, words, namesHere) {
		if _, value, split := strings.Cut(w, "="); split && c.Shell == "bash" && value != "" {
			w = value // bash takes what stands behind = for a word
		}
		if _, err := fmt.Fprintln(io.out, w); err != nil {
			return err
		}
	}
	return nil
}

// rejoined puts together what bash takes apart at = and at :.
func rejoined(words []string) []string {
	var whole []string
	glue := false
	for _, w := range words {
		breaks := w == "=" || w == ":"
		if n := len(whole); n > 0 && (glue || breaks) {
			whole[n-1] += w
		} else {
			whole = append(whole, w)
		}
		glue = breaks
	}
	return whole
}

// completed are the words that the last of words may become. names are those of a
// kind: artifact, environment or repository.
func completed(all []command, everywhere []parameter, words []string, names func(kind string) []string) []string {
	before, current := words[:len(words)-1], words[len(words)-1]
	c, rest := commandIn(all, before)
	if c == nil {
		found := commandWords(all, before, current)
		if len(before) == 0 {
			found = append(found, flagWords(everywhere, current)...)
		}
		return found
	}
	flags := slices.Concat(c.Flags, everywhere)
	if name, value, ok := strings.Cut(current, "="); ok && strings.HasPrefix(name, "-") {
		p := flagNamed(flags, name)
		if p == nil {
			return nil
		}
		found := values(p, value, names)
		for i := range found {
			if found[i] != files {
				found[i] = name + "=" + found[i]
			}
		}
		return found
	}
	place := 0
	for i := 0; i < len(rest); i++ {
		p := flagNamed(flags, rest[i])
		switch {
		case p != nil && p.Placeholder != "" && i == len(rest)-1:
			return values(p, current, names)
		case p != nil && p.Placeholder != "":
			i++
		case !strings.HasPrefix(rest[i], "-"):
			place++
		}
	}
	if strings.HasPrefix(current, "-") {
		return flagWords(flags, current)
	}
	if place >= len(c.Args) {
		if len(c.Args) == 0 || !c.Args[len(c.Args)-1].Repeats {
			return nil
		}
		place = len(c.Args) - 1
	}
	return values(&c.Args[place], current, names)
}

// commandIn is the command that words begin with, and the words behind it.
func commandIn(all []command, words []string) (*command, []string) {
	for i := range all {
		name := strings.Fields(all[i].Name)
		if len(words) >= len(name) && slices.Equal(words[:len(name)], name) {
			return &all[i], words[len(name):]
		}
	}
	return nil, nil
}

// commandWords are the words of commands' names that may follow.
func commandWords(all []command, before []string, current string) []string {
	var found []string
	for _, c := range all {
		name := strings.Fields(c.Name)
		if len(name) <= len(before) || !slices.Equal(name[:len(before)], before) {
			continue
		}
		if next := name[len(before)]; strings.HasPrefix(next, current) && !slices.Contains(found, next) {
			found = append(found, next)
		}
	}
	return found
}

func flagWords(flags []parameter, current string) []string {
	var found []string
	for _, p := range flags {
		word := "--" + p.Name
		if p.Placeholder != "" {
			word += "="
		}
		if strings.HasPrefix(word, current) {
			found = append(found, word)
		}
	}
	return found
}

// flagNamed is the flag that a word names without a value; nil where there is none.
func flagNamed(flags []parameter, word string) *parameter {
	for i, p := range flags {
		if word == "--"+p.Name || p.Short != "" && word == "-"+p.Short {
			return &flags[i]
		}
	}
	return nil
}

// values are what a parameter may be, as far as it begins with what was typed.
func values(p *parameter, typed string, names func(string) []string) []string {
	known := p.Enum
	switch {
	case len(known) > 0:
	case p.Completes == "path" || p.Completes == "file":
		return []string{files}
	case p.Completes != "":
		known = names(p.Completes)
	}
	return slices.DeleteFunc(slices.Clone(known), func(s string) bool { return !strings.HasPrefix(s, typed) })
}

// namesHere are the names of a kind, as the current directory says: those of its
// rung.yaml, also where that has problems, and the repository that it is a clone of.
func namesHere(kind string) []string {
	if kind == "repository" {
		clone, err := gitrepo.OpenClone(".")
		if err != nil {
			return nil
		}
		if r := local.Named(clone.Origin); r.Owner != "" {
			return []string{r.FullName()}
		}
		return nil
	}
	sources, policies, err := configuration(os.DirFS("."))
	if err != nil {
		return nil
	}
	p := pipeline.Load(sources, pipeline.Options{PolicyFiles: policies}).Pipeline
	if p == nil {
		return nil
	}
	var found []string
	switch kind {
	case "artifact":
		for _, a := range p.Artifacts {
			found = append(found, string(a.Name))
		}
	case "environment":
		for _, e := range p.Environments {
			found = append(found, string(e.Name))
		}
	}
	return found
}
