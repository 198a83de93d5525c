package pipeline

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/nearest"

	"github.com/rungbot/rung/internal/promotion"
)

var (
	daysGrammar      = lazyregexp.New(`^([0-9]{1,4})d(.*)$`)
	imageComponent   = lazyregexp.New(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	imageHost        = lazyregexp.New(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?::[0-9]{1,5})?$`)
	loginGrammar     = lazyregexp.New(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})$`)
	repoGrammar      = lazyregexp.New(`^[A-Za-z0-9._-]{1,100}$`)
	slugGrammar      = lazyregexp.New(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	patternGrammar   = lazyregexp.New(`^[a-z0-9*?][a-z0-9*?-]{0,40}$`)
	pathSegment      = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._ -]{0,99}$`)
	partFileGrammar  = lazyregexp.New(`^rung\.d/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.yaml$`)
	placeholderGroup = lazyregexp.New(`\{[^{}]*\}?|\}`)
)

// parseDuration reads a Go duration with `d` for days: 90s, 1h30m, 2d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	rest, days := s, 0
	if m := daysGrammar.FindStringSubmatch(s); m != nil {
		days, _ = strconv.Atoi(m[1]) // one to four digits
		rest = m[2]
	}
	var d time.Duration
	if rest != "" || days == 0 && !strings.HasSuffix(s, "d") {
		parsed, err := time.ParseDuration(rest)
		if err != nil {
			if _, number := strconv.ParseFloat(s, 64); number == nil {
				return 0, fmt.Errorf("%s has no unit: write %ss or %sm", quote(s), s, s)
			}
			return 0, fmt.Errorf("%s is not a duration: write 90s, 30m, 12h, 2d or 1d12h", quote(s))
		}
		d = parsed
	}
	if d < 0 {
		return 0, fmt.Errorf("%s is negative", quote(s))
	}
	if d > 10000*24*time.Hour {
		return 0, fmt.Errorf("%s is too long", quote(s))
	}
	return d + time.Duration(days)*24*time.Hour, nil
}

// showDuration writes a duration without empty units: 30m, not 30m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// checkImage takes an OCI repository: host[:port]/path, no tag, no digest.
func checkImage(s string) error {
	if len(s) > 255 {
		return errors.New("an image has at most 255 characters")
	}
	if strings.Contains(s, "://") {
		return fmt.Errorf("%s is a web address: write the image without %s", quote(s), s[:strings.Index(s, "://")+3])
	}
	if name, digest, has := strings.Cut(s, "@"); has {
		return fmt.Errorf("%s carries a digest: write %s; which version stands where is found in the manifests, not configured (%s)", quote(s), quote(name), quote(digest))
	}
	host, rest, has := strings.Cut(s, "/")
	if !has || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return fmt.Errorf("%s does not begin with a registry's host: write it in full, such as ghcr.io/acme/checkout or docker.io/library/nginx", quote(s))
	}
	if !imageHost.MatchString(host) {
		return fmt.Errorf("%s is not a registry's host", quote(host))
	}
	if name, tag, has := strings.Cut(rest, ":"); has {
		return fmt.Errorf("%s carries the tag %s: write %s; which version stands where is found in the manifests, not configured", quote(s), quote(tag), quote(host+"/"+name))
	}
	for component := range strings.SplitSeq(rest, "/") {
		if !imageComponent.MatchString(component) {
			return fmt.Errorf("%s is not an image name: after the host use lower-case letters, digits and single separators", quote(s))
		}
	}
	return nil
}

// checkRepositoryName takes owner/name.
func checkRepositoryName(s string) error {
	owner, name, has := strings.Cut(s, "/")
	if !has || !loginGrammar.MatchString(owner) || !repoGrammar.MatchString(name) || name == "." || name == ".." {
		return fmt.Errorf("%s is not a repository: write owner/name", quote(s))
	}
	return nil
}

// checkTeam takes org/slug.
func checkTeam(s string) error {
	org, slug, has := strings.Cut(s, "/")
	if strings.HasPrefix(s, "@") {
		return fmt.Errorf("%s: write the team without the @", quote(s))
	}
	if !has || !loginGrammar.MatchString(org) || !slugGrammar.MatchString(slug) {
		return fmt.Errorf("%s is not a team: write organisation/team-slug", quote(s))
	}
	return nil
}

// checkLogin takes a person's account name.
func checkLogin(s string) error {
	if !loginGrammar.MatchString(s) {
		return fmt.Errorf("%s is not a login: write the account's name, without @ (an App can't approve)", quote(s))
	}
	return nil
}

// checkPath takes a path inside the repository, without a trailing slash.
func checkPath(s string) error {
	if len(s) > 255 {
		return errors.New("a path has at most 255 characters")
	}
	if s == "" || path.IsAbs(s) || path.Clean(s) != s || strings.HasPrefix(s, "..") || s == "." {
		return fmt.Errorf("%s is not a path from the repository's root such as environments/dev", quote(s))
	}
	for segment := range strings.SplitSeq(s, "/") {
		if !pathSegment.MatchString(segment) || strings.HasSuffix(segment, " ") {
			return fmt.Errorf("%s is not taken: each part must begin with a letter, a digit or _, and use only those, '.', '-' and spaces", quote(s))
		}
	}
	return nil
}

// checkManifestPath takes a directory or file of manifests.
func checkManifestPath(s string) error {
	if err := checkPath(s); err != nil {
		return err
	}
	for _, dir := range []string{PartsDirectory, policyDirectory} {
		if strings.HasPrefix(s+"/", dir+"/") {
			return fmt.Errorf("%s/ holds configuration, not manifests", dir)
		}
	}
	if IsConfigPath(s) {
		return fmt.Errorf("%s is configuration, not a manifest", s)
	}
	return nil
}

// checkPathPattern takes a path in which a part may be *. The first and the last part
// are names: one keeps configuration out, the other says which environment is meant.
func checkPathPattern(s string) error {
	parts := strings.Split(s, "/")
	for i, part := range parts {
		switch {
		case part == promotion.AnyPart && (i == 0 || i == len(parts)-1):
			return fmt.Errorf("%s: the first and the last part must be names; * stands between them, as in apps/*/overlays/dev", quote(s))
		case part == promotion.AnyPart:
			parts[i] = "x"
		case strings.Contains(part, "*"):
			return fmt.Errorf("%s: * stands for a whole part of a path, as in apps/*/overlays/dev", quote(s))
		}
	}
	if err := checkManifestPath(strings.Join(parts, "/")); err != nil {
		if strings.Contains(s, "*") {
			return fmt.Errorf("%s is not a path from the repository's root such as apps/*/overlays/dev, in letters, digits, '.', '_', '-' and spaces", quote(s))
		}
		return err
	}
	return nil
}

// checkRepositoryURL takes a source repository's web address and returns it
// without a trailing slash or .git.
func checkRepositoryURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(s, " <>\"'`()[]|\\") {
		return "", fmt.Errorf("%s is not a web address such as https://github.com/acme/checkout", quote(s))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("the address of host %s must have no user, query or fragment", quote(u.Host))
	}
	return strings.TrimSuffix(strings.TrimRight(s, "/"), ".git"), nil
}

// checkProbe takes the URL of a health probe with its placeholders.
func checkProbe(s string) error {
	for _, group := range placeholderGroup.FindAllString(s, -1) {
		switch group {
		case "{environment}", "{version}", "{digest}":
		default:
			return fmt.Errorf("%s is not a placeholder%s", quote(group), suggest(group, "{environment}", "{version}", "{digest}"))
		}
	}
	u, err := url.Parse(strings.NewReplacer("{environment}", "e", "{version}", "0", "{digest}", "sha256:0").Replace(s))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return fmt.Errorf("%s is not a web address such as https://apps.example.com/{environment}/healthz", quote(s))
	}
	if u.User != nil {
		return errors.New("a health probe's address must carry no user or password: configuration is no place for secrets")
	}
	if u.Fragment != "" {
		return errors.New("a health probe's address must have no fragment")
	}
	host, _, _ := strings.Cut(strings.SplitN(s, "://", 2)[1], "/")
	if strings.Contains(host, "{version}") || strings.Contains(host, "{digest}") {
		return errors.New("only {environment} may stand in the host of a health probe")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLinkLocalUnicast() {
		return errors.New("a link-local address can't be probed: instance metadata lives there")
	}
	return nil
}

func suggest(s string, known ...string) string {
	if near := nearest.DidYouMean(s, known); near != "" {
		return near
	}
	return "; known are " + strings.Join(known, ", ")
}

// allPattern is the pattern of `policies` that names every environment.
const allPattern = "all"

// checkPattern takes an environment's name or a glob of names.
func checkPattern(s string) error {
	if !patternGrammar.MatchString(s) {
		return fmt.Errorf("%s is not an environment or a pattern of environments: use a-z, 0-9, -, * and ?", quote(s))
	}
	return nil
}

// matchPattern reports whether a pattern names an environment. Patterns use *
// and ? only.
func matchPattern(pattern string, name promotion.Environment) bool {
	if pattern == allPattern {
		return true
	}
	ok, err := path.Match(pattern, string(name))
	return ok && err == nil
}
