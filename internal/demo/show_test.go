package demo

import (
	"bytes"
	"testing"
)

func TestAuto(t *testing.T) {
	var out bytes.Buffer
	dir := t.TempDir()
	sum, err := Show{Options: Options{Dir: dir}, Out: &out}.Auto(t.Context())
	t.Log("\n" + out.String())
	if err != nil || !sum.OK {
		t.Fatalf("%+v, %v", sum, err)
	}
}
