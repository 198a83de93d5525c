// Package rung carries the sample GitOps repository, which this repository is
// itself: rung.yaml, environments and policies, as `rung demo` pushes them to
// its world.
//
// It stands at the top because go:embed can't reach upwards from a package
// below. It holds files and nothing else; internal/demo alone imports it.
package rung

import "embed"

// Sample is the sample repository: rung.yaml, environments/ and policies/, by
// their paths from its root. Its hosts (registry.example.com,
// apps.example.com) exist nowhere; whoever serves it puts their own in place.
//
//go:embed rung.yaml all:environments all:policies
var Sample embed.FS
