package audit

import (
	"cmp"
	"maps"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// rides grows a repository with one promotion, as it went.
func rides(r ride) func(*world) {
	return func(w *world) {
		w.start()
		w.quarantine(promotion.RecordQuarantine, digest("checkout", "6.6.6"))
		r := r
		r.pair, r.version = pair("staging", "checkout"), cmp.Or(r.version, "1.1.0")
		r.mergeFiles = maps.Clone(r.mergeFiles)
		if text, more := r.mergeFiles[kustomization("staging")]; more { // more bytes in the same file
			edited, _ := w.edited(w.base, r.pair, value("checkout", r.version))
			r.mergeFiles[kustomization("staging")] = edited + text + "\n"
		}
		w.promote(r)
	}
}

// ridden is that repository, pushed.
func ridden(t testing.TB, r ride) *world {
	t.Helper()
	w := newWorld(t)
	rides(r)(w)
	return w.push()
}

// crooked is a promotion that goes wrong in the making, and what rung would have
// written of it. Its twin is the same ride without what is wrong with it.
func crooked(row int, name string, r ride, want string) bool {
	exit := 1
	if want == "" || want == string(Override) {
		exit = 0
	}
	return tampering(scene{grow: rides(ride{squash: r.squash, byHand: r.byHand}), attacks: []attack{{row, name, want, exit, func(w *world) {
		*w = *ridden(w.TB, r)
	}}}})
}

var (
	_ = crooked(16, "the merge changes more than the record says", ride{mergeFiles: map[string]string{"environments/staging/deployment.yaml": strings.Replace(deployment, "2", "9", 1)}}, "CHANGE_MISMATCH")
	_ = crooked(16, "the merge changes another place", ride{byHand: true, mergeFiles: map[string]string{kustomization("prod"): "images:\n  - name: registry.example.com/acme/cart\n    newTag: 6.6.6\n"}}, "CHANGE_MISMATCH")
	_ = crooked(16, "the record says less than the merge changes", ride{landed: func(r *promotion.Record) { r.Places = nil }}, "CHANGE_MISMATCH")
	_ = crooked(16, "the record says another value", ride{landed: func(r *promotion.Record) { r.Places[0].Before.Version = "0.9.0" }}, "CHANGE_MISMATCH")
	_ = crooked(16, "the record names another first parent", ride{landed: func(r *promotion.Record) { r.Landed.FirstParent = r.Landed.Commit }}, "CHANGE_MISMATCH")
	_ = crooked(17, "an honest merge by hand", ride{byHand: true}, "")
	_ = crooked(17, "an honest squash by hand", ride{byHand: true, squash: true}, "")
	_ = crooked(17, "an honest squash by rung", ride{squash: true}, "")
	_ = crooked(17, "an honest merge of a head that a person made", ride{byHand: true, unsigned: true}, "")
	_ = crooked(17, "a merge by hand against unmet gates", ride{byHand: true, noAuthorize: true, unmet: []string{"approval"}}, "OVERRIDE")
	_ = crooked(18, "a squash with extra edits under an environment", ride{byHand: true, squash: true, mergeFiles: map[string]string{"environments/staging/deployment.yaml": "{}\n"}}, "CHANGE_MISMATCH")
	_ = crooked(18, "a squash with extra bytes in the promoted file", ride{byHand: true, squash: true, mergeFiles: map[string]string{kustomization("staging"): "#"}}, "CHANGE_MISMATCH")
	_ = crooked(19, "the promotion also edits a workflow", ride{branchFiles: map[string]string{workflow: "on: [push, pull_request]\n"}}, "PATH_SCOPE")
	_ = crooked(19, "the promotion also edits another environment", ride{branchFiles: map[string]string{"environments/dev/deployment.yaml": "{}\n"}}, "PATH_SCOPE")
	_ = crooked(19, "the promotion also edits a policy", ride{branchFiles: map[string]string{"policies/digest.yaml": "kind: ValidatingPolicy\n"}}, "PATH_SCOPE")
	_ = crooked(19, "the promotion also edits rung.yaml", ride{branchFiles: map[string]string{"rung.yaml": rungYAML + "# more\n"}}, "PATH_SCOPE")
	_ = crooked(19, "the promotion also edits another environment's version", ride{branchFiles: map[string]string{kustomization("prod"): "images:\n  - name: registry.example.com/acme/cart\n    newTag: 6.6.6\n"}}, "PATH_SCOPE")
	_ = crooked(19, "the merge by rung also edits another environment", ride{mergeFiles: map[string]string{"environments/dev/deployment.yaml": "{}\n"}}, "PATH_SCOPE")
	_ = crooked(28, "merged by rung with no authorize", ride{noAuthorize: true}, "AUTHORIZE_MISSING")
	_ = crooked(28, "merged by rung after its withdraw", ride{withdrawn: true}, "AUTHORIZE_MISSING")
	_ = crooked(28, "another head merged by rung than was authorised", ride{otherHead: true}, "HEAD_MISMATCH")
	_ = crooked(28, "a land of another head than was authorised", ride{landed: func(r *promotion.Record) {
		r.PullRequest = &promotion.RecordPullRequest{Number: 1, Head: r.Landed.FirstParent}
	}}, "HEAD_MISMATCH")
	_ = crooked(28, "merged by rung, made by a person", ride{unsigned: true}, "SIG_MISSING")
	_ = crooked(29, "a rollback to what never landed", ride{restores: "sha256:" + sum("never")}, "ROLLBACK_TARGET")
	_ = crooked(29, "a change by hand is taken back that nobody made", ride{record: func(r *promotion.Record) { r.Reverts = "sha256:" + sum("never") }}, "ROLLBACK_TARGET")
	_ = crooked(30, "a quarantined digest promoted", ride{version: "6.6.6"}, "QUARANTINED")
	_ = crooked(33, "the files hold another digest than the record", ride{landed: func(r *promotion.Record) {
		r.Artifact = artifact("checkout", promotion.Value{Version: r.Artifact.Version, Digest: digest("checkout", "other")})
	}}, "ARTIFACT_MISMATCH AUTHORIZE_MISSING")
	_ = crooked(33, "the same tag landed with another digest", ride{lands: promotion.Value{Version: "1.1.0", Digest: digest("checkout", "other")}}, "ARTIFACT_MISMATCH")
	_ = crooked(33, "the same tag landed with another digest, by a squash", ride{squash: true, byHand: true, lands: promotion.Value{Version: "1.1.0", Digest: digest("checkout", "other")}}, "ARTIFACT_MISMATCH")
)
