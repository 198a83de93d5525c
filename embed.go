// Package rung carries the sample GitOps repository, which this repository is
// itself: rung.yaml, environments and policies, as `rung demo` pushes them to
// its world; and the schema of rung.yaml, as `rung init` writes it beside one.
//
// It stands at the top because go:embed can't reach upwards from a package
// below. It holds files and nothing else; internal/demo and cmd/rung alone import
// it.
package rung

import "embed"

// Sample is the sample repository: rung.yaml, environments/ and policies/, by
// their paths from its root. Its hosts (registry.example.com,
// apps.example.com) exist nowhere; whoever serves it puts their own in place.
//
//go:embed rung.yaml all:environments all:policies
var Sample embed.FS

// Schema is the JSON Schema of rung.yaml.
//
//go:embed docs/rung.schema.json
var Schema []byte
