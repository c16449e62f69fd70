package playground

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strings"
	"time"

	"pveha/internal/ha"
)

//go:embed web
var web embed.FS

// Limits of what a page may send, in bytes.
const (
	maxCommands = 1 << 20
	maxUpload   = 16 << 20
)

// Server is the web server of a session: the page and what it asks for.
type Server struct {
	session *Session
	guard   guard
	mux     *http.ServeMux
	done    chan struct{}
}

// NewServer returns the server of a session, with a token of its own. Names
// are host names, besides addresses and localhost, by which it may be called.
func NewServer(s *Session, names ...string) *Server {
	v := &Server{
		session: s, guard: guard{token: rand.Text(), names: names},
		mux: http.NewServeMux(), done: make(chan struct{}),
	}
	files, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // a name that cannot be
	}
	v.mux.Handle("GET /", http.FileServerFS(files))
	v.mux.HandleFunc("GET /api/events", v.events)
	v.mux.HandleFunc("GET /api/recording", v.recording)
	v.mux.HandleFunc("GET /api/explain", v.explain)
	v.mux.HandleFunc("POST /api/commands", v.commands)
	v.mux.HandleFunc("POST /api/try", v.try)
	v.mux.HandleFunc("POST /api/clock", v.clock)
	v.mux.HandleFunc("POST /api/step", v.step)
	v.mux.HandleFunc("POST /api/back", v.back)
	v.mux.HandleFunc("POST /api/fresh", v.fresh)
	v.mux.HandleFunc("POST /api/load", v.load)
	v.mux.HandleFunc("POST /api/import", v.imports)
	return v
}

// Path is what an address has to have behind the host to be let in.
func (v *Server) Path() string { return "/?token=" + v.guard.token }

// Close ends the streams of events, which would go on for ever.
func (v *Server) Close() { close(v.done) }

// ServeHTTP answers a request, if it may come in.
func (v *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !v.guard.admit(w, r) {
		return
	}
	v.mux.ServeHTTP(w, r)
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A page that is gone needs no answer.
	_, _ = w.Write(encode(value))
}

// refuse answers with what is wrong.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		status = http.StatusRequestEntityTooLarge
		err = fmt.Errorf("more than %d bytes", large.Limit)
	}
	answer(w, status, map[string]string{"error": err.Error()})
}

// take reads the request's JSON, which has no other keys than those of into.
func take(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the request is not of type application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the request cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the request cannot be read: more follows its end")
	}
	return nil
}

// change reads a request, does what it asks, and answers.
func change[T any](w http.ResponseWriter, r *http.Request, limit int64, do func(T) (any, error)) {
	var request T
	if err := take(w, r, limit, &request); err != nil {
		refuse(w, err)
		return
	}
	result, err := do(request)
	if err != nil {
		refuse(w, err)
		return
	}
	if result == nil {
		result = struct{}{}
	}
	answer(w, http.StatusOK, result)
}

type commandsRequest struct {
	Commands []string `json:"commands"`
}

func (v *Server) commands(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxCommands, func(q commandsRequest) (any, error) { return nil, v.session.Do(q.Commands) })
}

type tryRequest struct {
	Command string `json:"command"`
}

func (v *Server) try(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxCommands, func(q tryRequest) (any, error) { return v.session.Try(q.Command) })
}

type clockRequest struct {
	Paused *bool    `json:"paused"`
	Speed  *float64 `json:"speed"`
}

func (v *Server) clock(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxCommands, func(q clockRequest) (any, error) { return nil, v.session.Set(q.Paused, q.Speed) })
}

type roundsRequest struct {
	Rounds int `json:"rounds"`
}

func (v *Server) step(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxCommands, func(q roundsRequest) (any, error) { return nil, v.session.Step(q.Rounds) })
}

func (v *Server) back(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxCommands, func(q roundsRequest) (any, error) { return nil, v.session.Back(q.Rounds) })
}

type freshRequest struct {
	Nodes  int `json:"nodes"`
	Guests int `json:"guests"`
}

func (v *Server) fresh(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxCommands, func(q freshRequest) (any, error) {
		files, err := Fresh(q.Nodes, q.Guests)
		if err != nil {
			return nil, err
		}
		return nil, v.session.Begin(files)
	})
}

type loadRequest struct {
	Name    string `json:"name"`
	Archive string `json:"archive"`
}

func (v *Server) load(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxUpload, func(q loadRequest) (any, error) {
		files, err := ParseArchive([]byte(q.Archive))
		if err == nil {
			err = v.session.Load(files)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.Name, err)
		}
		return nil, nil
	})
}

type importRequest struct {
	Files map[string]string `json:"files"`
}

// notes is what is worth knowing of something that was done.
type notes struct {
	Notes []string `json:"notes"`
}

func (v *Server) imports(w http.ResponseWriter, r *http.Request) {
	change(w, r, maxUpload, func(q importRequest) (any, error) {
		given := Files{}
		for name, text := range q.Files {
			given[name] = []byte(text)
		}
		files, said, err := Import(given)
		if err == nil {
			err = v.session.Begin(files)
		}
		if err != nil {
			return nil, err
		}
		return notes{append([]string{}, said...)}, nil
	})
}

func (v *Server) explain(w http.ResponseWriter, r *http.Request) {
	sid, err := ha.ParseSID(r.URL.Query().Get("service"))
	if err != nil {
		refuse(w, err)
		return
	}
	e, err := v.session.Explain(sid)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, e)
}

func (v *Server) recording(w http.ResponseWriter, _ *http.Request) {
	data, err := v.session.Recording()
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="recording.txtar"`)
	_, _ = w.Write(data)
}

// heartbeat keeps the stream open where something between closes idle ones.
const heartbeat = 15 * time.Second

// events streams what happens, until the page goes away.
func (v *Server) events(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	p := v.session.watch()
	defer v.session.unwatch(p)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var text strings.Builder
		select {
		case <-r.Context().Done():
			return
		case <-v.done:
			return
		case <-beat.C:
			text.WriteString(": still here\n\n")
		case e, ok := <-p.events:
			if !ok {
				return // too slow: it comes back
			}
			fmt.Fprintf(&text, "event: %s\ndata: %s\n\n", e.name, e.data)
		}
		if _, err := io.WriteString(w, text.String()); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
	}
}
