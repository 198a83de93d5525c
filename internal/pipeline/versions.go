package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/rungbot/rung/internal/promotion"
)

// The orders of promotion.VersionRule; the empty order is OrderSemver.
const (
	OrderSemver  = "semver"
	OrderNumeric = "numeric"
	OrderLexical = "lexical"
)

// maxRuleBytes bounds a range or a regular expression.
const maxRuleBytes = 256

// Versions is a compiled promotion.VersionRule. It is immutable and safe for
// concurrent use. The zero value matches nothing; use CompileVersions.
type Versions struct {
	constraint *semver.Constraints
	regex      *regexp.Regexp
	order      string
	any        bool
}

// CompileVersions checks and compiles a rule. A regular expression must match
// the whole version. The error says what is wrong with the rule, for people.
func CompileVersions(rule promotion.VersionRule) (*Versions, error) {
	v := &Versions{order: rule.Order}
	if v.order == "" {
		v.order = OrderSemver
	}
	switch {
	case len(rule.Range) > maxRuleBytes || len(rule.Regex) > maxRuleBytes:
		return nil, fmt.Errorf("a version rule has at most %d characters", maxRuleBytes)
	case rule.Range != "" && rule.Regex != "":
		return nil, errors.New("write a range or a regex, not both")
	case !slices.Contains([]string{OrderSemver, OrderNumeric, OrderLexical}, v.order):
		return nil, fmt.Errorf("%s is not an order: use semver, numeric or lexical", quote(rule.Order))
	case rule.Regex != "":
		if err := v.compileRegex(rule.Regex); err != nil {
			return nil, err
		}
	case v.order != OrderSemver:
		return nil, fmt.Errorf("order %s needs a regex", v.order)
	case rule.Range != "":
		c, err := semver.NewConstraint(rule.Range)
		if err != nil {
			return nil, fmt.Errorf("%s is not a range of semantic versions such as \">=1.2.0 <2\" or \"~1.4\"", quote(rule.Range))
		}
		v.constraint = c
	default:
		v.any = true
	}
	return v, nil
}

func (v *Versions) compileRegex(expression string) error {
	// Compiled alone first, so that a stray parenthesis can't escape the group.
	if _, err := regexp.Compile(expression); err != nil {
		reason := "too large"
		if parse := (*syntax.Error)(nil); errors.As(err, &parse) {
			reason = parse.Code.String() + " at " + quote(parse.Expr)
		}
		return fmt.Errorf("%s is not an RE2 regular expression: %s", quote(expression), reason)
	}
	whole, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		return fmt.Errorf("%s is too large a regular expression", quote(expression))
	}
	if v.order == OrderNumeric && whole.NumSubexp() == 0 {
		return errors.New("order numeric needs a group around the number: main-([0-9]+)")
	}
	v.regex = whole
	return nil
}

// Matches reports whether version counts: it has the rule's form and lies in
// its range. Semantic versions must have all three numbers (1.4 is a moving
// tag, not a version); a leading v is taken. A range leaves pre-releases out
// unless it names one.
func (v *Versions) Matches(version promotion.Version) bool {
	key, ok := v.key(version)
	switch {
	case !ok:
		return false
	case v.regex != nil:
		return true
	case v.constraint != nil:
		return v.constraint.Check(key.semver)
	}
	return v.any && key.semver.Prerelease() == ""
}

// Compare orders two versions: negative when a is older than b. It is a total
// order: versions without the rule's form come first, by text; those of equal
// order (build metadata, a leading v) follow each other by text; only equal
// text gives 0. A version outside the range, such as one that is live from
// before, is still ordered by its form.
func (v *Versions) Compare(a, b promotion.Version) int {
	ka, okA := v.key(a)
	kb, okB := v.key(b)
	switch {
	case okA && !okB:
		return 1
	case !okA && okB:
		return -1
	case okA && okB:
		if c := ka.compare(kb); c != 0 {
			return c
		}
	}
	return cmp.Compare(a, b)
}

// Newest is the newest of the versions that match, and false if none does.
func (v *Versions) Newest(versions []promotion.Version) (promotion.Version, bool) {
	var best promotion.Version
	found := false
	for _, version := range versions {
		if v.Matches(version) && (!found || v.Compare(version, best) > 0) {
			best, found = version, true
		}
	}
	return best, found
}

// Sort orders versions in place, oldest first, by Compare.
func (v *Versions) Sort(versions []promotion.Version) { slices.SortFunc(versions, v.Compare) }

// orderKey is what a version is ordered by.
type orderKey struct {
	semver *semver.Version
	number string
	text   string
}

func (k orderKey) compare(other orderKey) int {
	if k.semver != nil && other.semver != nil {
		return k.semver.Compare(other.semver)
	}
	return cmp.Or(
		cmp.Compare(len(k.number), len(other.number)),
		cmp.Compare(k.number, other.number),
		cmp.Compare(k.text, other.text),
	)
}

// key reads what the version is ordered by, and false if it lacks the rule's
// form.
func (v *Versions) key(version promotion.Version) (orderKey, bool) {
	if _, err := promotion.ParseVersion(string(version)); err != nil {
		return orderKey{}, false
	}
	text := string(version)
	if v.regex != nil {
		m := v.regex.FindStringSubmatch(text)
		if m == nil {
			return orderKey{}, false
		}
		if len(m) > 1 {
			text = m[1]
		}
	}
	switch v.order {
	case OrderLexical:
		return orderKey{text: text}, true
	case OrderNumeric:
		if text == "" || strings.Trim(text, "0123456789") != "" {
			return orderKey{}, false
		}
		return orderKey{number: strings.TrimLeft(text, "0")}, true
	}
	parsed, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil {
		return orderKey{}, false
	}
	return orderKey{semver: parsed}, true
}

// noVersion is the rule of an artifact whose file has a problem: it is a valid
// expression that no version matches.
var noVersion = promotion.VersionRule{Regex: `[^\x00-\x{10FFFF}]`, Order: OrderLexical}

// Matches is CompileVersions and Versions.Matches in one; a faulty rule
// matches nothing. Compile once where many versions are judged.
func Matches(rule promotion.VersionRule, version promotion.Version) bool {
	v, err := CompileVersions(rule)
	return err == nil && v.Matches(version)
}

// Compare is CompileVersions and Versions.Compare in one; under a faulty rule
// versions are ordered by text.
func Compare(rule promotion.VersionRule, a, b promotion.Version) int {
	v, err := CompileVersions(rule)
	if err != nil {
		return cmp.Compare(a, b)
	}
	return v.Compare(a, b)
}

// Newest is CompileVersions and Versions.Newest in one; a faulty rule finds
// nothing.
func Newest(rule promotion.VersionRule, versions []promotion.Version) (promotion.Version, bool) {
	v, err := CompileVersions(rule)
	if err != nil {
		return "", false
	}
	return v.Newest(versions)
}

// Sort is CompileVersions and Versions.Sort in one; under a faulty rule
// versions are ordered by text.
func Sort(rule promotion.VersionRule, versions []promotion.Version) {
	v, err := CompileVersions(rule)
	if err != nil {
		slices.Sort(versions)
		return
	}
	v.Sort(versions)
}
