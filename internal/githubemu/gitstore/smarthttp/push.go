package smarthttp

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// MaxCommands is the most ref commands one push may hold.
const MaxCommands = 100_000

// PushRequest is the body of a POST to git-receive-pack.
type PushRequest struct {
	Updates      []gitstore.RefUpdate
	Capabilities map[string]string // value after "=", or empty
	Pack         []byte            // the packfile; empty for deletions alone
}

// Has says whether the client asked for a capability.
func (p PushRequest) Has(capability string) bool {
	_, ok := p.Capabilities[capability]
	return ok
}

// ParsePush takes a push apart. Ids and ref names are checked for their form,
// not for their truth.
func ParsePush(body []byte) (PushRequest, error) {
	request := PushRequest{Capabilities: map[string]string{}}
	r := bytes.NewReader(body)
	for {
		kind, line, err := ReadPacket(r)
		if err == io.EOF && len(request.Updates) == 0 {
			return request, nil // nothing to push: stock clients probe like this
		}
		if err != nil {
			return PushRequest{}, fmt.Errorf("push commands: %w", err)
		}
		if kind == Flush {
			break
		}
		if kind != Data {
			return PushRequest{}, fmt.Errorf("push commands: %w: unexpected delimiter", ErrPacket)
		}
		text := string(line)
		if len(request.Updates) == 0 {
			var capabilities string
			text, capabilities, _ = strings.Cut(text, "\x00")
			for _, c := range strings.Fields(capabilities) {
				name, value, _ := strings.Cut(c, "=")
				request.Capabilities[name] = value
			}
		}
		text = strings.TrimSuffix(text, "\n")
		if strings.HasPrefix(text, "shallow ") {
			continue // the client's own boundary; what arrives is checked anyway
		}
		update, err := parseCommand(text)
		if err != nil {
			return PushRequest{}, err
		}
		if len(request.Updates) == MaxCommands {
			return PushRequest{}, fmt.Errorf("push commands: more than %d", MaxCommands)
		}
		request.Updates = append(request.Updates, update)
	}
	if request.Has("push-options") {
		for {
			kind, _, err := ReadPacket(r)
			if err != nil {
				return PushRequest{}, fmt.Errorf("push options: %w", err)
			}
			if kind == Flush {
				break
			}
		}
	}
	request.Pack = body[len(body)-r.Len():]
	return request, nil
}

func parseCommand(text string) (gitstore.RefUpdate, error) {
	fields := strings.SplitN(text, " ", 3)
	if len(fields) != 3 || !gitstore.ValidID(fields[0]) || !gitstore.ValidID(fields[1]) {
		return gitstore.RefUpdate{}, fmt.Errorf("push commands: %w: not \"old new ref\"", ErrPacket)
	}
	return gitstore.RefUpdate{Ref: fields[2], Old: fields[0], New: fields[1]}, nil
}

// ParseReport reads the report-status in a push's answer, with or without a
// side band. It returns, by ref, the reason of each refusal, empty for a ref
// that moved; unpack is "ok" or says why the pack was not taken. An answer
// without a report gives an empty unpack.
func ParseReport(answer []byte, sideBand bool) (unpack string, refs map[string]string, err error) {
	if sideBand {
		if answer, err = firstBand(answer); err != nil {
			return "", nil, err
		}
	}
	refs = map[string]string{}
	r := bytes.NewReader(answer)
	for {
		kind, line, err := ReadPacket(r)
		if err == io.EOF {
			return unpack, refs, nil
		}
		if err != nil {
			return "", nil, err
		}
		if kind != Data {
			continue
		}
		word, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch word {
		case "unpack":
			unpack = rest
		case "ok":
			refs[rest] = ""
		case "ng":
			ref, reason, _ := strings.Cut(rest, " ")
			refs[ref] = reason
		}
	}
}

func firstBand(answer []byte) ([]byte, error) {
	var data []byte
	for r := bytes.NewReader(answer); ; {
		kind, packet, err := ReadPacket(r)
		switch {
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		case kind == Data && len(packet) > 0 && packet[0] == 1:
			data = append(data, packet[1:]...)
		}
	}
}
