package githubemu

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// The control API is for programs in other processes, such as the demo and the
// kill tests: what the methods of Server do, as JSON over HTTP on loopback.
//
//	GET  _emu/counts                 Counts
//	GET  _emu/world                  names of repositories
//	GET  _emu/world/OWNER/NAME       RepositoryState
//	GET  _emu/file/OWNER/NAME?ref=&path=   {"content": …}
//	GET  _emu/deliveries             []Delivery
//	GET  _emu/held                   waits until a held write is reached
//	GET  _emu/avatar/ID              a picture
//	POST _emu/ACT                    an act of the table below
//
// An act's body is a JSON object; its answer is one too. A refusal has the
// status and message that GitHub would give.

// act is one entry of the table: it decodes its own input.
type act func(ctx context.Context, in []byte) (any, error)

// acting makes an act of a function over a decoded input.
func acting[T any](f func(ctx context.Context, in T) (any, error)) act {
	return func(ctx context.Context, raw []byte) (any, error) {
		var in T
		if len(raw) > 0 {
			d := json.NewDecoder(strings.NewReader(string(raw)))
			d.DisallowUnknownFields()
			if err := d.Decode(&in); err != nil {
				return nil, fail(http.StatusBadRequest, "cannot read the act: %v", err)
			}
		}
		return f(ctx, in)
	}
}

// onPullInput is what acts on a pull request take.
type onPullInput struct {
	Repository string `json:"repository"`
	Number     int    `json:"number"`
	Person     string `json:"person"`
	Event      string `json:"event,omitempty"` // of a review
	Body       string `json:"body,omitempty"`
	Method     string `json:"method,omitempty"` // of a merge
	ID         int64  `json:"id,omitempty"`     // of a review, comment or check run
	Action     string `json:"action,omitempty"` // a button's identifier
	Head       string `json:"head,omitempty"`
	Base       string `json:"base,omitempty"`
	Title      string `json:"title,omitempty"`
	Branch     string `json:"branch,omitempty"`
	SHA        string `json:"sha,omitempty"`
}

func (s *Server) acts() map[string]act {
	all := map[string]act{}
	for _, part := range []map[string]act{s.pullActs(), s.eventActs(), s.adminActs(), s.faultActs()} {
		for name, a := range part {
			all[name] = a
		}
	}
	return all
}

func (s *Server) pullActs() map[string]act {
	none := func(err error) (any, error) { return object{}, err }
	return map[string]act{
		"push": acting(func(ctx context.Context, in Push) (any, error) {
			sha, err := s.PushFiles(ctx, in)
			return object{"sha": sha}, err
		}),
		"move-branch": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.MoveBranch(ctx, in.Repository, in.Person, in.Branch, in.SHA))
		}),
		"open": acting(func(ctx context.Context, in onPullInput) (any, error) {
			n, err := s.OpenPull(ctx, in.Repository, in.Person, in.Head, in.Base, in.Title, in.Body)
			return object{"number": n}, err
		}),
		"review": acting(func(ctx context.Context, in onPullInput) (any, error) {
			id, err := s.Review(ctx, in.Repository, in.Number, in.Person, in.Event, in.Body)
			return object{"id": id}, err
		}),
		"dismiss-review": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.DismissReview(ctx, in.Repository, in.Number, in.Person, in.ID))
		}),
		"comment": acting(func(ctx context.Context, in onPullInput) (any, error) {
			id, err := s.Comment(ctx, in.Repository, in.Number, in.Person, in.Body)
			return object{"id": id}, err
		}),
		"edit-comment": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.EditComment(ctx, in.Repository, in.Person, in.ID, in.Body))
		}),
		"merge": acting(func(ctx context.Context, in onPullInput) (any, error) {
			sha, err := s.Merge(ctx, in.Repository, in.Number, in.Person, in.Method)
			return object{"sha": sha}, err
		}),
		"close": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.SetPullState(ctx, in.Repository, in.Number, in.Person, "closed"))
		}),
		"reopen": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.SetPullState(ctx, in.Repository, in.Number, in.Person, "open"))
		}),
		"update-branch": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.UpdateBranch(ctx, in.Repository, in.Number, in.Person))
		}),
		"revert": acting(func(ctx context.Context, in onPullInput) (any, error) {
			n, err := s.Revert(ctx, in.Repository, in.Number, in.Person)
			return object{"number": n}, err
		}),
		"enqueue": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.Enqueue(ctx, in.Repository, in.Number, in.Person))
		}),
		"click": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.ClickAction(ctx, in.Repository, in.Person, in.ID, in.Action))
		}),
		"rerequest": acting(func(ctx context.Context, in onPullInput) (any, error) {
			return none(s.Rerequest(ctx, in.Repository, in.Person, in.ID))
		}),
	}
}

func (s *Server) eventActs() map[string]act {
	type event struct {
		Repository  string `json:"repository"`
		Person      string `json:"person"`
		Type        string `json:"type,omitempty"`    // of a dispatch
		Payload     any    `json:"payload,omitempty"` // of a dispatch
		Tag         string `json:"tag,omitempty"`     // of a release
		Body        string `json:"body,omitempty"`
		Workflow    string `json:"workflow,omitempty"`
		Branch      string `json:"branch,omitempty"`
		Conclusion  string `json:"conclusion,omitempty"`
		Environment string `json:"environment,omitempty"`
		Ref         string `json:"ref,omitempty"`
		State       string `json:"state,omitempty"`
	}
	return map[string]act{
		"check": acting(func(ctx context.Context, in CheckReport) (any, error) {
			id, err := s.ReportCheck(ctx, in)
			return object{"id": id}, err
		}),
		"status": acting(func(ctx context.Context, in CheckReport) (any, error) {
			return object{}, s.ReportStatus(ctx, in)
		}),
		"dispatch": acting(func(_ context.Context, in event) (any, error) {
			return object{}, s.Dispatch(in.Repository, in.Person, in.Type, in.Payload)
		}),
		"release": acting(func(ctx context.Context, in event) (any, error) {
			return object{}, s.PublishRelease(ctx, in.Repository, in.Person, in.Tag, in.Body)
		}),
		"package": acting(func(ctx context.Context, in Package) (any, error) {
			return object{}, s.PublishPackage(ctx, in)
		}),
		"workflow": acting(func(ctx context.Context, in event) (any, error) {
			return object{}, s.FinishWorkflow(ctx, in.Repository, in.Person, in.Workflow, in.Branch, in.Conclusion)
		}),
		"deployment-status": acting(func(ctx context.Context, in event) (any, error) {
			return object{}, s.SetDeploymentStatus(ctx, in.Repository, in.Person, in.Environment, in.Ref, in.State, in.Body)
		}),
		"ping": acting(func(context.Context, struct{}) (any, error) {
			s.Ping()
			return object{}, nil
		}),
		"flush": acting(func(ctx context.Context, _ struct{}) (any, error) { return object{}, s.Flush(ctx) }),
	}
}

func (s *Server) adminActs() map[string]act {
	type admin struct {
		Repository string            `json:"repository,omitempty"`
		Owner      string            `json:"owner,omitempty"`
		To         string            `json:"to,omitempty"`
		Person     string            `json:"person,omitempty"`
		Role       string            `json:"role,omitempty"`
		Team       string            `json:"team,omitempty"`
		Members    map[string]string `json:"members,omitempty"`
		Repos      map[string]string `json:"repos,omitempty"`
		Rules      []Ruleset         `json:"rules,omitempty"`
		Suspended  bool              `json:"suspended,omitempty"`
		URL        string            `json:"url,omitempty"`
		Archived   *bool             `json:"archived,omitempty"`
	}
	return map[string]act{
		"person": acting(func(_ context.Context, in Person) (any, error) {
			if in.Login == "" {
				return nil, fail(http.StatusBadRequest, "a person needs a Login")
			}
			return object{"token": s.AddPerson(in)}, nil
		}),
		"repository": acting(func(ctx context.Context, in RepositorySeed) (any, error) {
			return object{}, s.CreateRepository(ctx, in)
		}),
		"permission": acting(func(_ context.Context, in admin) (any, error) {
			return object{}, s.SetPermission(in.Repository, in.Person, in.Role)
		}),
		"organization": acting(func(_ context.Context, in admin) (any, error) {
			s.AddOrganization(in.Owner, in.Role, in.Members)
			return object{}, nil
		}),
		"team": acting(func(_ context.Context, in admin) (any, error) {
			return object{}, s.AddTeam(in.Owner, in.Team, in.Members, in.Repos)
		}),
		"rules": acting(func(_ context.Context, in admin) (any, error) {
			return object{}, s.SetRules(in.Repository, in.Rules...)
		}),
		"rename": acting(func(_ context.Context, in admin) (any, error) {
			return object{}, s.RenameRepository(in.Repository, in.To)
		}),
		"archive": acting(func(_ context.Context, in admin) (any, error) {
			return object{}, s.ChangeRepository(in.Repository, RepositorySettings{Archived: in.Archived})
		}),
		"install": acting(func(_ context.Context, in admin) (any, error) {
			var names []string
			if in.Repository != "" {
				names = []string{in.Repository}
			}
			id, err := s.Install(in.Owner, names...)
			return object{"id": id}, err
		}),
		"suspend": acting(func(_ context.Context, in admin) (any, error) {
			return object{}, s.SuspendInstallation(in.Owner, in.Suspended)
		}),
		"webhook-url": acting(func(_ context.Context, in admin) (any, error) {
			s.SetWebhookURL(in.URL)
			return object{}, nil
		}),
		"reset-counts": acting(func(context.Context, struct{}) (any, error) { return s.ResetCounts(), nil }),
	}
}

func (s *Server) faultActs() map[string]act {
	type knob struct {
		N    int    `json:"n,omitempty"`
		When string `json:"when,omitempty"` // before or after
		On   bool   `json:"on,omitempty"`
	}
	return map[string]act{
		"fault": acting(func(_ context.Context, in Fault) (any, error) {
			n, err := s.AddFault(in)
			if err != nil {
				return nil, fail(http.StatusBadRequest, "%v", err)
			}
			return object{"id": n}, nil
		}),
		"clear-faults": acting(func(context.Context, struct{}) (any, error) {
			s.ClearFaults()
			return object{}, nil
		}),
		"expire-tokens": acting(func(context.Context, struct{}) (any, error) {
			s.ExpireTokens()
			return object{}, nil
		}),
		"null-mergeable": acting(func(_ context.Context, in knob) (any, error) {
			s.SetNullMergeable(in.N)
			return object{}, nil
		}),
		"graphql": acting(func(_ context.Context, in knob) (any, error) {
			s.SetGraphQL(in.On)
			return object{}, nil
		}),
		"limits": acting(func(_ context.Context, in Limits) (any, error) {
			s.SetLimits(in)
			return object{}, nil
		}),
		"hold": acting(func(_ context.Context, in knob) (any, error) {
			when := Before
			if in.When == After.String() {
				when = After
			}
			s.Hold(in.N, when)
			return object{"writes": s.Writes()}, nil
		}),
		"release-held": acting(func(context.Context, struct{}) (any, error) {
			if h := s.holding(); h != nil {
				h.once.Do(func() { close(h.freed) })
			}
			return object{}, nil
		}),
	}
}

func (s *Server) holding() *holder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// maxControl bounds an act's body, controlWait how long the control API waits.
const (
	maxControl  = 16 << 20
	controlWait = 30 * time.Second
)

// serveControl serves the control API to this machine alone.
func (s *Server) serveControl(w http.ResponseWriter, r *http.Request, path string) {
	if id, ok := strings.CutPrefix(path, "avatar/"); ok {
		avatar(w, id)
		return
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || !net.ParseIP(host).IsLoopback() {
		http.Error(w, "the control API is for this machine alone", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), controlWait)
	defer cancel()
	var out any
	var err error
	switch {
	case r.Method == http.MethodGet:
		out, err = s.look(ctx, r, path)
	case r.Method == http.MethodPost:
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			err = fail(http.StatusUnsupportedMediaType, "acts are sent as application/json")
			break
		}
		var body []byte
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxControl)); err != nil {
			break
		}
		a := s.acts()[path]
		if a == nil {
			err = fail(http.StatusNotFound, "there is no act %q", path)
			break
		}
		out, err = a(ctx, body)
	default:
		err = fail(http.StatusMethodNotAllowed, "GET looks, POST acts")
	}
	writeControl(w, out, err)
}

func writeControl(w http.ResponseWriter, out any, err error) {
	rp := reply{status: http.StatusOK, body: out}
	if err != nil {
		rp = asError(err).reply("")
	}
	body, encErr := rp.encode()
	if encErr != nil {
		rp.status, body = http.StatusInternalServerError, []byte(`{"message":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(rp.status)
	_, _ = w.Write(append(body, '\n'))
}

// look answers the control API's questions.
func (s *Server) look(ctx context.Context, r *http.Request, path string) (any, error) {
	what, rest, _ := strings.Cut(path, "/")
	switch {
	case what == "counts":
		return s.Counts(), nil
	case what == "deliveries":
		return s.Deliveries(), nil
	case what == "world" && rest == "":
		return object{"repositories": s.Repositories(), "writes": s.Writes()}, nil
	case what == "world":
		return s.State(ctx, rest)
	case what == "file":
		text, ok := s.ReadFile(ctx, rest, r.URL.Query().Get("ref"), r.URL.Query().Get("path"))
		if !ok {
			return nil, notFound()
		}
		return object{"content": text}, nil
	case what == "held":
		h := s.holding()
		if h == nil {
			return nil, notFound()
		}
		return object{"reached": h.wait(ctx)}, nil
	}
	return nil, fail(http.StatusNotFound, "there is nothing to see at %q", path)
}

// avatar draws a square in a colour of its own.
func avatar(w http.ResponseWriter, id string) {
	n := atoi(id, 0)
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="hsl(%d 55%% 45%%)"/></svg>`, (n*47)%360)
}
