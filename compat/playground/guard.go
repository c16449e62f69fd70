package playground

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard lets in only who was given the address with the token, and only
// requests of the page itself.
type guard struct {
	token string
	names []string
}

// policy allows the page what it brings along, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;" +
	" connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// admit answers and returns false when a request may not come in.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch {
	case !g.knows(r.Host):
		http.Error(w, "This host name is not one of the simulator's.", http.StatusMisdirectedRequest)
		return false
	case !g.sameOrigin(r):
		http.Error(w, "Requests from other pages are refused.", http.StatusForbidden)
		return false
	}
	if token := r.URL.Query().Get("token"); r.Method == http.MethodGet && r.URL.Path == "/" && g.matches(token) {
		http.SetCookie(w, &http.Cookie{
			Name: g.cookie(r), Value: g.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
		return true // without a redirection, which would come back without the cookie from elsewhere
	}
	if c, err := r.Cookie(g.cookie(r)); err == nil && g.matches(c.Value) {
		return true
	}
	http.Error(w, "Open the address that pve-ha-simulator printed when it started: it holds the key to this page.",
		http.StatusUnauthorized)
	return false
}

func (g *guard) matches(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) == 1
}

// cookie names the cookie of this port: cookies themselves do not tell ports
// of one host apart.
func (g *guard) cookie(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "pve-ha-simulator-" + port
}

// knows refuses names that somebody else may have pointed at this machine.
func (g *guard) knows(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || slices.Contains(g.names, host)
}

// sameOrigin reports whether the browser says that the request is the page's
// own, or that a person opened the address.
func (g *guard) sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
	case "none", "": // typed in, or not from a browser that tells
	default:
		// A link elsewhere may lead here: to the page, not to what it asks for.
		if r.Method != http.MethodGet || r.URL.Path != "/" || r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			return false
		}
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "http://"+r.Host
}
