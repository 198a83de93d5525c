package githubemu

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// actor is who makes a request.
type actor struct {
	acc   *account // the account that acts: a person, or an App's bot
	app   *app     // set for an App, by JWT or by installation token
	inst  *installation
	token *token
	jwt   bool
}

// isApp tells an App from a person. A nil actor is nobody.
func (a *actor) isApp() bool { return a != nil && a.app != nil }

// bucket names whose rate limit a request spends.
func (a *actor) bucket() string {
	switch {
	case a == nil:
		return "anonymous"
	case a.inst != nil:
		return "installation " + strconv.FormatInt(a.inst.ID, 10)
	case a.app != nil:
		return "app " + a.app.Slug
	}
	return "user " + a.acc.Login
}

// authenticate reads the Authorization header. It needs the lock.
func (s *Server) authenticate(r *http.Request, want authKind) (*actor, error) {
	cred := credential(r)
	switch {
	case cred == "" && want == authNone:
		return nil, nil
	case cred == "" && want == authApp:
		return nil, fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
	case cred == "":
		if s.cfg.AnonymousRead && r.Method == http.MethodGet {
			return nil, nil
		}
		return nil, fail(http.StatusUnauthorized, "Requires authentication")
	}
	if strings.Count(cred, ".") == 2 {
		who, err := s.checkJWT(cred)
		if err == nil && want == authToken {
			err = fail(http.StatusForbidden, "Resource not accessible by integration")
		}
		return who, err
	}
	who, err := s.checkToken(cred)
	if err == nil && want == authApp {
		err = fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	return who, err
}

// credential takes a token out of the header in any of the ways GitHub reads
// it: bearer, token, or the password of basic authentication.
func credential(r *http.Request) string {
	h := r.Header.Get("Authorization")
	scheme, rest, _ := strings.Cut(h, " ")
	switch strings.ToLower(scheme) {
	case "bearer", "token":
		return strings.TrimSpace(rest)
	case "basic":
		if _, pass, ok := r.BasicAuth(); ok {
			return pass
		}
	}
	return ""
}

func badCredentials() *Error { return fail(http.StatusUnauthorized, "Bad credentials") }

// checkToken finds who holds a token.
func (s *Server) checkToken(value string) (*actor, error) {
	t := s.w.Tokens[value]
	if t == nil {
		return nil, badCredentials()
	}
	if t.Login != "" {
		acc := s.w.user(t.Login)
		if acc == nil || acc.Suspended {
			return nil, fail(http.StatusForbidden, "Sorry. Your account was suspended")
		}
		return &actor{acc: acc, token: t}, nil
	}
	if !s.now().Before(t.ExpiresAt) {
		return nil, badCredentials()
	}
	inst := s.w.Installations[t.Installation]
	if inst == nil || inst.Removed {
		return nil, badCredentials()
	}
	if inst.SuspendedAt != nil {
		return nil, fail(http.StatusForbidden, "This installation has been suspended")
	}
	return &actor{acc: s.w.bot(inst.AppID), app: s.w.Apps[inst.AppID], inst: inst, token: t}, nil
}

type claims struct {
	Issuer any      `json:"iss"`
	Issued *float64 `json:"iat"`
	Expire *float64 `json:"exp"`
}

// checkJWT verifies an App's own token: RS256 by the key of the App it names,
// issued no later than a minute from now, expiring within ten minutes.
func (s *Server) checkJWT(value string) (*actor, error) {
	parts := strings.Split(value, ".")
	undecodable := fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
	var head struct {
		Alg string `json:"alg"`
	}
	var cl claims
	if !unpack(parts[0], &head) || !unpack(parts[1], &cl) || head.Alg != "RS256" {
		return nil, undecodable
	}
	a := s.w.Apps[issuer(cl.Issuer)]
	if a == nil || a.PublicKey == nil {
		return nil, fail(http.StatusNotFound, "Integration not found")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(a.PublicKey, crypto.SHA256, sum[:], sig) != nil {
		return nil, undecodable
	}
	if err := cl.window(s.now()); err != nil {
		return nil, err
	}
	return &actor{acc: s.w.bot(a.ID), app: a, jwt: true}, nil
}

func (cl *claims) window(now time.Time) error {
	switch {
	case cl.Expire == nil || *cl.Expire != math.Trunc(*cl.Expire) || int64(*cl.Expire) <= now.Unix():
		return fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case int64(*cl.Expire) > now.Unix()+660:
		return fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	case cl.Issued == nil || *cl.Issued != math.Trunc(*cl.Issued) || int64(*cl.Issued) > now.Unix()+60:
		return fail(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return nil
}

func unpack(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, v) == nil
}

func issuer(v any) int64 {
	switch v := v.(type) {
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return -1
		}
		return n
	case float64:
		return int64(v)
	}
	return -1
}

// sees tells whether the caller may know that a repository exists.
func (a *actor) sees(s *Server, r *repo) bool {
	if r == nil {
		return false
	}
	if !r.Private {
		return a != nil || s.cfg.AnonymousRead
	}
	switch {
	case a == nil:
		return false
	case a.inst != nil:
		return a.inst.covers(r) && (a.token.Repos == nil || a.token.Repos[r.ID])
	case a.jwt:
		return s.w.installationOn(a.app.ID, r) != nil
	}
	return rank(s.role(r, a.acc)) >= rank("read")
}

// may checks a permission such as "contents:write" on a repository.
func (a *actor) may(s *Server, r *repo, perm string) error {
	if perm == "" {
		return nil
	}
	name, level, _ := strings.Cut(perm, ":")
	if a == nil {
		if level == "read" {
			return nil
		}
		return fail(http.StatusUnauthorized, "Requires authentication")
	}
	if a.jwt {
		return nil
	}
	if a.inst != nil {
		inside := a.inst.covers(r) && (a.token.Repos == nil || a.token.Repos[r.ID])
		if inside && levelRank(a.token.Permissions[name]) >= levelRank(level) || !r.Private && level == "read" && name != "administration" {
			return nil
		}
		return fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	if rank(s.role(r, a.acc)) < rank(neededRole(name, level)) {
		if level == "read" {
			return notFound()
		}
		return fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	return nil
}

func levelRank(level string) int {
	return map[string]int{"read": 1, "write": 2, "admin": 3}[level]
}

// neededRole is what a person must be to do what an App does with a
// permission.
func neededRole(name, level string) string {
	if level == "read" {
		return "read"
	}
	switch name {
	case "issues", "pull_requests":
		return "read" // handlers ask for more where closing or merging does
	case "administration":
		return "admin"
	}
	return "write"
}

// rank orders the roles.
func rank(role string) int {
	return map[string]int{"read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}[role]
}

// role is the highest that a person has on a repository: owner, collaborator,
// team member, the organisation's base role, or reader of a public one.
func (s *Server) role(r *repo, acc *account) string {
	if acc == nil || acc.Suspended {
		return "none"
	}
	best := "none"
	raise := func(role string) {
		if rank(role) > rank(best) {
			best = role
		}
	}
	if acc.Type == "Bot" {
		if in := s.w.installationOn(acc.AppID, r); in != nil && in.SuspendedAt == nil {
			raise(in.Permissions["contents"])
		}
		return best
	}
	if !r.Private {
		raise("read")
	}
	if fold(r.Owner) == fold(acc.Login) {
		raise("admin")
	}
	raise(r.Collaborators[fold(acc.Login)])
	if org := s.w.user(r.Owner); org != nil && org.Members[fold(acc.Login)] != "" {
		raise(org.BaseRole)
		if org.Members[fold(acc.Login)] == "admin" {
			raise("admin")
		}
	}
	for _, t := range s.w.Teams {
		if fold(t.Org) == fold(r.Owner) && t.Members[fold(acc.Login)] != "" {
			raise(t.Repos[r.ID])
		}
	}
	return best
}

// canPush tells whether an account may write to a repository's contents.
func (s *Server) canPush(r *repo, acc *account) bool { return rank(s.role(r, acc)) >= rank("write") }
