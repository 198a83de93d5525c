// Package smarthttp is the HTTP half of git's smart protocol, shared by the
// stores of the GitHub emulator: routes, content types, gzip bodies, protocol
// version, and the packet lines inside. What is answered is the Backend's
// part. It holds no state; a request body is read whole (a stateless request
// is judged as one) and may be MaxRequest bytes long.
//
// Like git's own http-backend it answers 200 before the Backend speaks: a
// request that git refuses outright is a 200 with an empty or broken body, and
// clients have to live with that.
package smarthttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxRequest is the longest request body in bytes, after gzip. A longer one
// is answered with 413.
const MaxRequest = 512 << 20

// The two services of the protocol.
const (
	UploadPack  = "git-upload-pack"
	ReceivePack = "git-receive-pack"
)

// Backend answers requests for one repository. protocol is the Git-Protocol
// header's value, such as "version=2", or empty. An error is for the server's
// own log: the status has been sent by then.
type Backend interface {
	// Advertise writes what GET /info/refs answers, less the service line.
	Advertise(ctx context.Context, service, protocol string, w io.Writer) error
	// ServeUploadPack answers one fetch or ls-refs request.
	ServeUploadPack(ctx context.Context, protocol string, request []byte, w io.Writer) error
	// ServeReceivePack answers one push.
	ServeReceivePack(ctx context.Context, request []byte, w io.Writer) error
}

// Handler serves b at /info/refs, /git-upload-pack and /git-receive-pack.
func Handler(b Backend) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
		switch {
		case r.URL.Path == "/info/refs" && r.Method == http.MethodGet:
			advertise(b, w, r)
		case r.URL.Path == "/"+UploadPack && r.Method == http.MethodPost:
			serve(b, UploadPack, w, r)
		case r.URL.Path == "/"+ReceivePack && r.Method == http.MethodPost:
			serve(b, ReceivePack, w, r)
		default:
			http.Error(w, "not a path of git's smart protocol", http.StatusNotFound)
		}
	})
}

// VersionTwo says whether a Git-Protocol header asks for version 2.
func VersionTwo(protocol string) bool {
	for _, part := range strings.Split(protocol, ":") {
		if part == "version=2" {
			return true
		}
	}
	return false
}

func advertise(b Backend, w http.ResponseWriter, r *http.Request) {
	service := r.URL.Query().Get("service")
	if service != UploadPack && service != ReceivePack {
		http.Error(w, "please use a git client that speaks the smart protocol", http.StatusForbidden)
		return
	}
	protocol := r.Header.Get("Git-Protocol")
	var body bytes.Buffer
	if err := b.Advertise(r.Context(), service, protocol, &body); err != nil {
		http.Error(w, "the repository could not be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	// Stock git leaves the service line out of a version 2 answer.
	if !bytes.HasPrefix(body.Bytes(), []byte("000eversion 2\n")) {
		line := fmt.Sprintf("# service=%s\n", service)
		_, _ = fmt.Fprintf(w, "%04x%s0000", len(line)+4, line) // a client gone away is not our error
	}
	_, _ = body.WriteTo(w)
}

func serve(b Backend, service string, w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/x-"+service+"-request" {
		http.Error(w, "unsupported media type", http.StatusUnsupportedMediaType)
		return
	}
	body, status, err := readBody(w, r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-result")
	w.WriteHeader(http.StatusOK)
	// The status is out: a failure shows in the body, as with stock git.
	if service == UploadPack {
		_ = b.ServeUploadPack(r.Context(), r.Header.Get("Git-Protocol"), body, w)
	} else {
		_ = b.ServeReceivePack(r.Context(), body, w)
	}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, int, error) {
	var body io.Reader = http.MaxBytesReader(w, r.Body, MaxRequest)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, http.StatusBadRequest, errors.New("the body is not gzip")
		}
		body = unzipped
	default:
		return nil, http.StatusUnsupportedMediaType, errors.New("unsupported content encoding")
	}
	data, err := io.ReadAll(io.LimitReader(body, MaxRequest+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), len(data) > MaxRequest:
		return nil, http.StatusRequestEntityTooLarge, errors.New("the request is too large")
	case err != nil:
		return nil, http.StatusBadRequest, errors.New("the body could not be read")
	}
	return data, http.StatusOK, nil
}
