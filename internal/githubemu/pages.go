package githubemu

import "net/http"

func (s *Server) servePages(w http.ResponseWriter, r *http.Request, path string) {
	http.NotFound(w, r)
}
