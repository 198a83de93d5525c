package githubemu

import "net/http"

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request, path string) {
	http.NotFound(w, r)
}
