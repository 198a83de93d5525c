package history

import (
	"fmt"

	"github.com/rungbot/rung/internal/promotion"
)

// environments are the rungs in the order of a climb; the last two are
// production, and the first of those wants an approval.
var environments = []promotion.Environment{"dev", "staging", "canary", "prod-eu", "prod-us"}

// artifacts climb.
var artifacts = []promotion.Artifact{"cart", "checkout", "worker"}

const (
	registry = "registry.example.com/acme/"
	uri      = "https://github.com/acme/environments"
)

const configuration = `version: 1
mode: merge
%sdefaults:
  pin: digest
  manualChanges: adopt
artifacts:
  cart: {image: registry.example.com/acme/cart, publishers: [acme/cart]}
  checkout: {image: registry.example.com/acme/checkout, publishers: [acme/checkout]}
  worker: {image: registry.example.com/acme/worker, publishers: [acme/worker]}
environments:
  dev: {}
  staging: {after: [dev], soak: 30m}
  canary: {after: [staging], soak: 2h}
  prod-eu: {after: [canary], soak: 1d, approvals: {required: 1}}
  prod-us: {after: [prod-eu]}
policies:
  all: [policies/digest.yaml]
  "prod-*": [policies/release.yaml]
`

const policy = `# %s
apiVersion: json.kyverno.io/v1alpha1
kind: ValidatingPolicy
metadata:
  name: %[1]s
spec:
  rules:
    - name: pinned
      assert:
        all:
          - check:
              ~.places:
                after:
                  (regex_match('^sha256:[0-9a-f]{64}$', not_null(digest, ''))): true
`

// policies are the policy files of an environment, by path.
func policies(e promotion.Environment) []string {
	if e == "prod-eu" || e == "prod-us" {
		return []string{"policies/digest.yaml", "policies/release.yaml"}
	}
	return []string{"policies/digest.yaml"}
}

func kustomization(e promotion.Environment) string {
	return "environments/" + string(e) + "/kustomization.yaml"
}

func deployment(e promotion.Environment) string {
	return "environments/" + string(e) + "/deployment.yaml"
}

// deployments is a file without a version, as people change it.
func deployments(replicas int) string {
	text := ""
	for _, a := range artifacts {
		text += fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  labels: {app: %[1]s}
spec:
  replicas: %d
  selector:
    matchLabels: {app: %[1]s}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      containers:
        - name: %[1]s
          image: %[3]s%[1]s # the version stands in kustomization.yaml
          ports:
            - containerPort: 8080
---
`, a, replicas, registry)
	}
	return text
}

// initial are the files that the repository begins with; versions are written
// into the kustomizations later.
func initial(versions func(promotion.Artifact) promotion.Value) map[string]string {
	files := map[string]string{"rung.yaml": fmt.Sprintf(configuration, ""), "README.md": "# environments\n"}
	for _, name := range []string{"digest", "release"} {
		files["policies/"+name+".yaml"] = fmt.Sprintf(policy, name)
	}
	for _, e := range environments {
		text := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: %s\nresources:\n  - deployment.yaml\n\nimages:\n", e)
		for _, a := range artifacts {
			v := versions(a)
			text += fmt.Sprintf("  - name: %s%s\n    newTag: %s\n    digest: %s\n", registry, a, v.Version, v.Digest)
		}
		files[kustomization(e)] = text
		files[deployment(e)] = deployments(2)
	}
	return files
}
