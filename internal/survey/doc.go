// Package survey looks at the files of a GitOps repository and says how rung would
// climb it: which environments there are and where they lie, which images are
// artifacts, in which order versions climb, and which bytes a promotion would
// change. `rung init` writes that down as a rung.yaml.
//
// State: none. Every function is pure: a tree of files in, values out; the checkout
// and the forge are read and written elsewhere. Safe for concurrent use.
//
// Invariants: the same tree gives the same survey, byte by byte. What is a guess is
// said as one, with what to check. The configuration that comes out loads without a
// problem (package pipeline is asked before it is returned), and the places are those
// that package manifest finds by that configuration, not by the guesses. A tree that
// can't be told apart is a Refusal of one sentence, and nothing comes out. Sizes and
// counts are bounded by the reader of the tree and by package manifest.
//
// What it does not do: it renders no kustomize and no Helm, follows no link, asks no
// registry, and reads no branch but the one it is given.
//
// # How an environment is told
//
// By names. A directory, or a file's name, that holds a word for a stage (dev, test,
// staging, prod and their like) is an environment; words for regions and clusters
// beside it, in the same name or in the directory next to it, tell several of a
// stage apart. What differs otherwise between two paths of one environment is taken
// for applications. Only directories and files that name an artifact, and
// neighbours of the same shape, count.
package survey
