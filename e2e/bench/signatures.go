package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/sign"
)

// verifySignatures reads every commit of both branches, verifies the signature of
// each that bears one, and prints how many did. It is a process of its own, so
// that what it uses can be told from what the bench uses.
func verifySignatures(out io.Writer, dir, signers string, heads []string) error {
	text, err := os.ReadFile(signers) // #nosec G304 -- the bench's own file
	if err != nil {
		return err
	}
	list, err := sign.ParseAllowedSigners(text)
	if err != nil || len(list) != 1 {
		return errors.Join(errors.New("one key is expected"), err)
	}
	clone, err := audit.OpenClone(dir)
	if err != nil {
		return err
	}
	defer clone.Close()
	var batch sign.Batch
	seen, good := map[audit.ObjectID]bool{}, 0
	for _, head := range heads {
		id, err := objectID(head)
		if err != nil {
			return err
		}
		for stack := []audit.ObjectID{id}; len(stack) > 0; {
			id := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[id] {
				continue
			}
			seen[id] = true
			_, raw, err := clone.Object(id)
			if err != nil {
				return err
			}
			parents, payload, armour := taken(raw)
			stack = append(stack, parents...)
			if armour == "" {
				continue
			}
			if err := batch.AddSSH(payload, armour, list[0].Key); err != nil {
				return fmt.Errorf("commit %s: %w", id, err)
			}
			good++
		}
	}
	if !batch.Holds() {
		return errors.New("a signature does not match its commit and the key")
	}
	_, err = fmt.Fprintln(out, good)
	return err
}

func objectID(text string) (audit.ObjectID, error) {
	id, err := hex.DecodeString(text)
	if err != nil || len(id) != len(audit.ObjectID{}) {
		return audit.ObjectID{}, fmt.Errorf("%q is no commit", text)
	}
	return audit.ObjectID(id), nil
}

// taken takes a commit apart: its parents, what was signed, and the signature.
func taken(raw []byte) (parents []audit.ObjectID, payload []byte, armour string) {
	head, _, _ := bytes.Cut(raw, []byte("\n\n"))
	at := 0
	for line := range bytes.Lines(head) {
		if value, ok := bytes.CutPrefix(line, []byte("parent ")); ok {
			if id, err := objectID(string(bytes.TrimSpace(value))); err == nil {
				parents = append(parents, id)
			}
		}
		if value, ok := bytes.CutPrefix(line, []byte("gpgsig ")); ok {
			end := at + bytes.Index(raw[at:], []byte("-----END SSH SIGNATURE-----\n")) + len("-----END SSH SIGNATURE-----\n")
			armour = strings.ReplaceAll(string(raw[at+len(line)-len(value):end]), "\n ", "\n")
			return parents, append(bytes.Clone(raw[:at]), raw[end:]...), armour
		}
		at += len(line)
	}
	return parents, raw, ""
}
