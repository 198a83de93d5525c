package gitdisk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

// looseLimit is the most objects of a push that are judged as loose objects;
// more are kept as a pack. It is git's own receive.unpackLimit.
const looseLimit = 100

// refusalHook is an update hook that declines the refs named in its
// environment. It is configured only for a push in which some were refused.
const refusalHook = `#!/bin/sh
i=0
while [ "$i" -lt "$GITDISK_REFUSALS" ]; do
	eval "ref=\$GITDISK_REF_$i reason=\$GITDISK_REASON_$i"
	if [ "$ref" = "$1" ]; then
		printf '%s\n' "$reason" >&2
		exit 1
	fi
	i=$((i + 1))
done
exit 0
`

// Handler serves smart HTTP by upload-pack and receive-pack; see
// gitstore.Repository.
func (r *repository) Handler() http.Handler {
	return smarthttp.Handler(wire{r})
}

// wire is the repository as smarthttp sees it.
type wire struct{ *repository }

// Advertise runs the service's own advertisement.
func (r wire) Advertise(ctx context.Context, service, protocol string, w io.Writer) error {
	return r.rpc(ctx, protocol, nil, w, nil, service[len("git-"):], "--stateless-rpc", "--advertise-refs", ".")
}

// ServeUploadPack runs git upload-pack.
func (r wire) ServeUploadPack(ctx context.Context, protocol string, request []byte, w io.Writer) error {
	return r.rpc(ctx, protocol, request, w, nil, "upload-pack", "--stateless-rpc", ".")
}

// rpc runs one side of the protocol. What git says on stderr goes into the
// error.
func (r wire) rpc(ctx context.Context, protocol string, request []byte, w io.Writer, env []string, args ...string) error {
	cmd := r.store.command(ctx, r.path(), args...)
	if protocol != "" && !r.store.options.NoProtocolV2 {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+protocol)
	}
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), w, &stderr
	if err := cmd.Run(); err != nil {
		return &gitError{command: args[0], stderr: stderr.String(), err: err}
	}
	return nil
}

// ServeReceivePack runs git receive-pack, with the caller's Push around it. A
// client that goes away does not stop a push half way.
func (r wire) ServeReceivePack(ctx context.Context, body []byte, w io.Writer) error {
	ctx = context.WithoutCancel(ctx)
	push := gitstore.PushFrom(ctx)
	args := []string{"receive-pack", "--stateless-rpc", "."}
	if push.Judge == nil && push.Landed == nil {
		return r.rpc(ctx, "", body, w, nil, args...)
	}
	request, err := smarthttp.ParsePush(body)
	if err != nil {
		return err // what we cannot read nobody has judged
	}
	var env []string
	if push.Judge != nil && len(request.Updates) > 0 {
		if refused := r.judge(ctx, push, request); len(refused) > 0 {
			env = refusalEnvironment(refused)
			args = append([]string{"-c", "core.hooksPath=" + r.store.hooks()}, args...)
		}
	}
	var answer bytes.Buffer
	runErr := r.rpc(ctx, "", body, &answer, env, args...)
	if push.Landed != nil {
		landed, err := r.moved(ctx, request, answer.Bytes())
		if err != nil {
			return err
		}
		if len(landed) > 0 {
			push.Landed(ctx, landed)
		}
	}
	if _, err := answer.WriteTo(w); err != nil {
		return err
	}
	return runErr
}

// judge asks the caller which refs may not move. Where the pack cannot be
// read none may; receive-pack finds better words for that.
func (r wire) judge(ctx context.Context, push gitstore.Push, request smarthttp.PushRequest) map[string]string {
	if err := r.unpack(ctx, request.Pack); err == nil {
		return push.Judge(ctx, request.Updates)
	}
	refused := map[string]string{}
	for _, u := range request.Updates {
		refused[u.Ref] = "the pack could not be read"
	}
	return refused
}

// unpack stores a push's objects so that they can be judged. receive-pack
// will store and check them once more.
func (r wire) unpack(ctx context.Context, pack []byte) error {
	if len(pack) < 12 {
		return nil
	}
	args := []string{"unpack-objects", "-q", "--strict"}
	if count := binary.BigEndian.Uint32(pack[8:12]); count > looseLimit {
		args = []string{"index-pack", "--stdin", "--fix-thin", "--strict"}
	}
	_, err := r.git(ctx, pack, args...)
	return err
}

func refusalEnvironment(refused map[string]string) []string {
	env := []string{"GITDISK_REFUSALS=" + strconv.Itoa(len(refused))}
	i := 0
	for ref, reason := range refused {
		env = append(env, fmt.Sprintf("GITDISK_REF_%d=%s", i, ref), fmt.Sprintf("GITDISK_REASON_%d=%s", i, reason))
		i++
	}
	return env
}

// moved says which refs a push has moved: as git reports, or, to a client
// that wants no report, as the refs show.
func (r wire) moved(ctx context.Context, request smarthttp.PushRequest, answer []byte) ([]gitstore.RefUpdate, error) {
	var landed []gitstore.RefUpdate
	if !request.Has("report-status") {
		for _, u := range request.Updates {
			refs, err := r.Refs(ctx, u.Ref)
			if err != nil {
				return nil, err
			}
			if u.Old != u.New && cmp.Or(refs[u.Ref], gitstore.Zero) == u.New {
				landed = append(landed, u)
			}
		}
		return landed, nil
	}
	_, refs, err := smarthttp.ParseReport(answer, request.Has("side-band-64k") || request.Has("side-band"))
	if err != nil {
		return nil, fmt.Errorf("receive-pack's report: %w", err)
	}
	for _, u := range request.Updates {
		if reason, told := refs[u.Ref]; told && reason == "" && u.Old != u.New {
			landed = append(landed, u)
		}
	}
	return landed, nil
}
