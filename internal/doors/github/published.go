package github

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// DispatchType is the repository_dispatch type that announces a version.
const DispatchType = "artifact-published"

// published starts an announcement with what GitHub itself says of the event.
func (d *decoding) published() Published {
	p := Published{Sender: d.env.Sender.person(), Event: d.raw.Event, Delivery: d.raw.GUID}
	if d.notice.Repository.ID != 0 {
		p.Publisher, p.PublisherID = d.notice.Repository.FullName(), d.notice.Repository.ID
	}
	return p
}

// route sends the announcement to whoever names the artifact.
func (d *decoding) route(p Published, at time.Time) {
	subject := string(p.Artifact)
	if subject == "" {
		subject = p.Image
	}
	if subject == "" {
		subject = p.Publisher
	}
	d.notice.Routed = append(d.notice.Routed, Routed{About: p, Hint: d.hint(KindPublished, subject, at, p)})
}

// routeRefusal sends a sentence the same way, by what could be read.
func (d *decoding) routeRefusal(p Published, reason string) {
	from := p.Publisher
	if from == "" {
		from = "an organisation's package"
	}
	d.notice.Routed = append(d.notice.Routed, Routed{About: p, Hint: d.refuse("%s from %s announces nothing: %s", d.raw.Event, from, reason)})
}

// announcement is a dispatch's client_payload: text of whoever may write to
// the repository.
type announcement struct {
	Artifact string `json:"artifact"`
	Image    string `json:"image"`
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	Source   struct {
		Repository string `json:"repository"`
		Commit     string `json:"commit"`
	} `json:"source"`
}

// readInto checks every field and puts what passed into p; the error is a
// sentence about the first that didn't.
func (a *announcement) readInto(p *Published) error {
	var errs [5]error
	if a.Artifact != "" {
		p.Artifact, errs[0] = promotion.ParseArtifact(a.Artifact)
	}
	if a.Image != "" {
		p.Image, errs[1] = parseImage(a.Image)
	}
	p.Version, errs[2] = promotion.ParseVersion(a.Version)
	if a.Digest != "" {
		p.Digest, errs[3] = promotion.ParseDigest(a.Digest)
	}
	if a.Source.Commit != "" {
		p.Source.Commit, errs[4] = promotion.ParseHash(a.Source.Commit)
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if a.Source.Repository != "" {
		if _, _, ok := parseFullName(a.Source.Repository); !ok {
			return errors.New("source.repository " + quote(a.Source.Repository) + " is not of the form owner/name")
		}
		p.Source.Repository = a.Source.Repository
	}
	if a.Artifact == "" && a.Image == "" {
		return errors.New(`client_payload names neither an "artifact" nor an "image"`)
	}
	return nil
}

func (d *decoding) dispatch() (Notice, error) {
	var e struct {
		envelope
		Payload json.RawMessage `json:"client_payload"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions(DispatchType) {
		return d.done()
	}
	p := d.published()
	var a announcement
	if err := json.Unmarshal(e.Payload, &a); err != nil {
		field := "it"
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) && typed.Field != "" {
			field = typed.Field
		}
		d.routeRefusal(p, "client_payload must be an object with text in artifact, version and digest, and "+field+" is something else")
		return d.done()
	}
	if err := a.readInto(&p); err != nil {
		d.routeRefusal(p, err.Error())
		return d.done()
	}
	d.route(p, time.Time{})
	return d.done()
}

func (d *decoding) release() (Notice, error) {
	var e struct {
		envelope
		Release struct {
			Tag         string    `json:"tag_name"`
			PublishedAt time.Time `json:"published_at"`
		} `json:"release"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("published") {
		return d.done()
	}
	p := d.published()
	p.Source.Repository = p.Publisher
	version, err := promotion.ParseVersion(e.Release.Tag)
	if err != nil {
		d.routeRefusal(p, "its tag "+err.Error())
		return d.done()
	}
	p.Version = version
	d.route(p, e.Release.PublishedAt)
	return d.done()
}

// packagePart is a package as both package events describe it.
type packagePart struct {
	Version *struct {
		Version   string `json:"version"`
		URL       string `json:"package_url"`
		Container *struct {
			Tag struct {
				Name   string `json:"name"`
				Digest string `json:"digest"`
			} `json:"tag"`
		} `json:"container_metadata"`
	} `json:"package_version"`
}

func (d *decoding) registryPackage() (Notice, error) {
	var e struct {
		envelope
		Package  packagePart `json:"package"`
		Registry packagePart `json:"registry_package"`
	}
	if !d.parse(&e, &e.envelope) || !d.actions("published", "updated") {
		return d.done()
	}
	version := e.Package.Version
	if d.raw.Event == "registry_package" {
		version = e.Registry.Version
	}
	switch {
	case version == nil || version.Container == nil:
		d.ignore(ReasonNotAnImage)
		return d.done()
	case version.Container.Tag.Name == "":
		// One event comes for each manifest of an index; only the index has
		// the tag.
		d.ignore(ReasonUntagged)
		return d.done()
	}
	p := d.published()
	tag := version.Container.Tag
	image, urlTag := splitTag(version.URL)
	var err error
	// GitHub keeps the owner's capitals, registries know lower case only.
	if p.Image, err = parseImage(strings.ToLower(image)); err != nil {
		d.routeRefusal(p, err.Error())
		return d.done()
	}
	if p.Version, err = promotion.ParseVersion(tag.Name); err != nil {
		d.routeRefusal(p, err.Error())
		return d.done()
	}
	if urlTag != "" && urlTag != tag.Name {
		d.routeRefusal(p, "it says both "+quote(tag.Name)+" and "+quote(urlTag)+" for its tag")
		return d.done()
	}
	// Older packages have the digest as the version's name only. It is a
	// hint; the registry is asked.
	for _, s := range []string{tag.Digest, version.Version} {
		if digest, err := promotion.ParseDigest(s); err == nil {
			p.Digest = digest
			break
		}
	}
	d.route(p, time.Time{})
	return d.done()
}

// splitTag takes "host/path:tag" apart; without a tag the second is "".
func splitTag(s string) (image, tag string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, '/') {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// workflowRun is a hint twice: for the repository's own gates, and, when it
// succeeded, to look at the registry for what its repository publishes.
func (d *decoding) workflowRun() (Notice, error) {
	var e struct {
		envelope
		Run struct {
			ID         int64  `json:"id"`
			HeadSHA    string `json:"head_sha"`
			Conclusion string `json:"conclusion"`
		} `json:"workflow_run"`
	}
	if !d.parse(&e, &e.envelope) || !d.needRepository() || !d.actions("completed") {
		return d.done()
	}
	var head promotion.Hash
	if head, d.err = hash(e.Run.HeadSHA, "workflow_run.head_sha", false); d.err != nil {
		return d.done()
	}
	d.add(KindWorkflow, string(head), time.Time{}, Workflow{Head: head, Run: e.Run.ID})
	if e.Run.Conclusion == "success" {
		p := d.published()
		p.Source = Source{Repository: p.Publisher, Commit: head}
		d.route(p, time.Time{})
	}
	return d.done()
}
