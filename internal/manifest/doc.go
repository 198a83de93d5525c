// Package manifest finds the places where an artifact's version is written in
// YAML (and JSON) files, and edits those bytes and no others: comments, order,
// quoting, indentation, line ends, byte order mark, document separators,
// anchors and trailing spaces stay as they are.
//
// State: none. Bytes in, bytes out; no I/O, no clock. Every function may be
// called from any goroutine; the input is never written to. What it does not
// do: walk directories (the caller chooses the files, IsManifest says which),
// resolve tags, compare versions, or render kustomize and Helm: a place is
// where an image is named in so many words.
//
// Invariants: an edit is checked before it is returned. The new bytes are
// parsed again; the document trees may differ at the edited scalars only, every
// edited place must read back as the new value, and the places of every other
// image must read as before; otherwise the edit is an error. A file that
// can't be understood but names the image is an error, never a silence.
// Files are limited to 1 MiB, 100 levels and 1000 documents; a duplicate key, or
// aliases that expand without end, are errors.
//
// # Kinds of places
//
//   - kustomize: an entry of an `images:` list with name, newName, newTag,
//     digest (a kustomization, a component, a Flux Kustomization), or the
//     `imageTag:` of an ImageTagTransformer. The image is newName if there is
//     one, else name. Pinned, newTag keeps the readable version and
//     `digest:` stands on a line of its own after it. kustomize since 4.5
//     renders both (name:tag@digest); older ones let digest win.
//   - image: an `image:` field, `reference:` under `image:`, or an item of a
//     list `images:`, that holds a reference: repo:tag, repo@digest,
//     repo:tag@digest. In a list, `name=repo:tag` too (Argo CD's
//     kustomize.images; pinned with a tag this needs kustomize 5.2 there).
//   - helm: a mapping of repository (or name, or a bare image), with or
//     without registry, and tag or digest. Without a key digest, the
//     tag is written as `1.4.2@sha256:…`.
//   - argo: a list `parameters:` with the names <prefix>repository and
//     <prefix>tag (and <prefix>digest or <prefix>registry), or <prefix>image.
//   - marked: a value at the end of whose line stands `# rung: <artifact>`. It
//     keeps its shape: a version stays a version, a digest a digest, a
//     reference is pinned. On a tag of the kinds above, the mark says whose it
//     is when the image's name doesn't.
//
// YAML inside a literal block is read too where it is known to be YAML: helm
// values of an Argo CD Application, kustomize patches, and the
// *.yaml entries of a ConfigMap's data.
//
// # Locators
//
// A locator is "kind:document:path" and a promise: it is written into signed
// records, and later versions of this package give the same place the
// same locator. Document is Kind/name (metadata.name) when no
// other document of the file has the same, else its number, from 0. Path joins
// keys with dots; a key that is not made of A-Z, a-z, 0-9, _ and - is written
// ["key"], as a Go string. An item of a list is [name=…] by its scalar field
// `name` when no other item there has the same, else [number], from 0. The
// mapping at the root is ".". A path into embedded YAML goes on after "|" with its own
// document:path.
//
//	kustomize:0:images[name=ghcr.io/acme/checkout]
//	image:Deployment/checkout:spec.template.spec.containers[name=app].image
//	image:2:steps[0].image
//	helm:0:image
//	helm:Application/checkout:spec.source.helm.values|0:image
//	argo:Application/checkout:spec.source.helm.parameters[name=image.tag]
//	marked:0:release.version
//
// The path of kustomize and helm places is that of the mapping, of argo that of
// the parameter which holds the tag, of image and marked that of the scalar.
//
// Known limits: a value that rung has to quote (1.10 is a number in YAML)
// stays quoted when a later edit would not need it; a line `digest:` that was
// inserted is taken away again only by an edit to a value without a digest.
package manifest
