package main

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"

	"github.com/rungbot/rung/internal/demo"
	"github.com/rungbot/rung/internal/githubemu"
)

const megabyte = 1e6

// size is what the binary weighs.
func size(binary string) row {
	r := row{figure: "size of the binary", unit: "MB", limit: 38}
	info, err := os.Stat(binary)
	if err != nil {
		r.fault = err.Error()
		return r
	}
	r.got = float64(info.Size()) / megabyte
	r.detail = "everything linked, no OTLP exporter"
	if file, err := elf.Open(binary); err == nil {
		defer func() { _ = file.Close() }()
		if file.Section(".symtab") != nil {
			r.fault = "it is not stripped: build it with make build"
		}
		if file.Section(".interp") != nil {
			r.fault = "it is not static: build it with make build"
		}
	}
	return r
}

// memory is the peak of what rung holds while the demo is played around it.
func memory(ctx context.Context, binary string) ([]row, error) {
	r := row{figure: "peak memory of rung serve through the demo's climb (VmHWM)", unit: "MB", limit: 50}
	var began, peak, code, own int
	var counts githubemu.Counts
	show := demo.Show{Out: io.Discard, Rung: func(ctx context.Context, w *demo.World) (func() error, error) {
		p, err := serve(ctx, binary, w)
		if err != nil {
			return nil, err
		}
		if began, err = p.kilobytes("VmHWM"); err != nil {
			return nil, err
		}
		return func() error {
			counts = w.Emulator().Counts()
			peak, err = p.kilobytes("VmHWM")
			if err == nil {
				code, err = p.kilobytes("RssFile")
			}
			if err == nil {
				own, err = p.kilobytes("RssAnon")
			}
			if stopped := p.stop(); err == nil {
				err = stopped
			}
			return err
		}, nil
	}}
	sum, err := show.Auto(ctx)
	if err != nil {
		return nil, err
	}
	if !sum.OK {
		return nil, fmt.Errorf("the demo's climb does not hold: %q", sum.Differences)
	}
	of := func(kilobytes int) float64 { return float64(kilobytes) * 1024 / megabyte }
	r.got = of(peak)
	r.detail = fmt.Sprintf("%.1f MB when it was ready; at the end %.1f MB of the binary and %.1f MB of its own; %d promotions and %d rollbacks in %.0f s", of(began), of(code), of(own), sum.Promotions, sum.Rollbacks, sum.Seconds)
	whole := counted("API calls through the demo's climb, from the start", informative, float64(counts.Total), counts, opening|step|talking|start)
	return []row{r, whole}, nil
}
