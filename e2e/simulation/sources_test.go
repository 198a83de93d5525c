package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"log"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// images is an OCI registry in memory.
type images struct {
	handler http.Handler
	down    bool
	// tags is what each artifact's tags stand for, texts what they were made of.
	tags, texts map[string]map[string]string
}

func newImages() *images {
	return &images{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), tags: map[string]map[string]string{}, texts: map[string]map[string]string{}}
}

func (i *images) serve(r *http.Request) (*http.Response, error) {
	if i.down {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Status: "503 Service Unavailable", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	return answer(i.handler, r)
}

// publish puts a manifest made of a text under a tag, and returns its digest.
func (i *images) publish(artifact, tag, text string) string {
	const empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"annotations":{"org.opencontainers.image.title":%q}}`, empty, text)
	req, err := http.NewRequest(http.MethodPut, "http://"+registryHost+"/v2/acme/"+artifact+"/manifests/"+tag, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	res, err := answer(i.handler, req)
	if err != nil || res.StatusCode != http.StatusCreated {
		panic(fmt.Sprintf("the registry does not take a manifest: %v %v", res, err))
	}
	sum := sha256.Sum256([]byte(body))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if i.tags[artifact] == nil {
		i.tags[artifact], i.texts[artifact] = map[string]string{}, map[string]string{}
	}
	i.tags[artifact][tag], i.texts[artifact][tag] = digest, text
	return digest
}

// clinic answers health probes: by digest, by environment, and remembers since
// when what was so.
type clinic struct {
	bad     map[string]bool // digests that are sick wherever they run
	outage  map[string]bool // environments in which everything is sick
	silent  map[string]bool // environments that do not answer
	changes []change
}

type change struct {
	at   time.Time
	what string // a digest or an environment
	sick bool
}

func newClinic() *clinic {
	return &clinic{bad: map[string]bool{}, outage: map[string]bool{}, silent: map[string]bool{}}
}

func (c *clinic) set(of map[string]bool, what string, sick bool) {
	of[what] = sick
	c.changes = append(c.changes, change{time.Now(), what, c.bad[what] || c.outage[what] || c.silent[what]})
}

// sickFor tells since when a digest in an environment can't have answered that
// it is well; ok is false if it can now.
func (c *clinic) sickFor(environment, digest string) (since time.Time, ok bool) {
	if !c.bad[digest] && !c.outage[environment] && !c.silent[environment] {
		return time.Time{}, false
	}
	sick := map[string]bool{}
	var from time.Time
	for _, ch := range c.changes {
		if ch.what != environment && ch.what != digest {
			continue
		}
		was := sick[environment] || sick[digest]
		sick[ch.what] = ch.sick
		if is := sick[environment] || sick[digest]; is && !was {
			from = ch.at
		}
	}
	return from, true
}

// serve answers GET /ENVIRONMENT/ARTIFACT/DIGEST.
func (c *clinic) serve(r *http.Request) (*http.Response, error) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 {
		return nil, fmt.Errorf("no such service: %s", r.URL.Path)
	}
	if c.silent[parts[0]] {
		return nil, io.ErrUnexpectedEOF
	}
	status := http.StatusOK
	if c.bad[parts[2]] || c.outage[parts[0]] {
		status = http.StatusInternalServerError
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// sorted walks a map in the order of its keys.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
