package settings

import (
	"net/url"
	"strings"
)

// APIURL is the root of the REST API, with a trailing slash:
// https://api.github.com/, https://api.acme.ghe.com/, or /api/v3/ of an
// Enterprise Server (and of any other server that speaks like one).
func (s Settings) APIURL() string { return s.endpoint("api.", "/", "/api/v3/") }

// GraphQLURL is the address of the GraphQL API.
func (s Settings) GraphQLURL() string { return s.endpoint("api.", "/graphql", "/api/graphql") }

// UploadURL is the root of the upload API, with a trailing slash.
func (s Settings) UploadURL() string { return s.endpoint("uploads.", "/", "/api/uploads/") }

// endpoint puts a prefix before the hosts of github.com and ghe.com, and a path
// behind those of Enterprise Servers.
func (s Settings) endpoint(prefix, cloudPath, serverPath string) string {
	u, err := url.Parse(s.GitHubURL)
	if err != nil {
		return strings.TrimRight(s.GitHubURL, "/") + serverPath // Load refuses such an address
	}
	host := strings.ToLower(u.Host)
	if host == "www.github.com" {
		host = "github.com"
	}
	if host == "github.com" || strings.HasSuffix(host, ".ghe.com") {
		return "https://" + prefix + host + cloudPath
	}
	return strings.TrimRight(s.GitHubURL, "/") + serverPath
}
