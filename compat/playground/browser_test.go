//go:build browser

package playground

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// pictures is where the screenshots go.
const pictures = "../../bin/screenshots"

// chromium finds the browser. Without one the tests are skipped, but not in
// CI, where that would be no check.
func chromium(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no chromium: install Debian's package")
		}
		t.Skip("no chromium")
	}
	return path
}

// newBrowser starts a browser with nothing of anybody in it.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("force-device-scale-factor", "1"), chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(time.Minute),
	}
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx))
	return &browser{ctx}
}

// browser is a browser of the tests' own.
type browser struct{ ctx context.Context }

// served is a session with its server.
type served struct {
	*Session
	dir, address string
}

// serve serves the session of a folder until the test ends.
func serve(t testing.TB, dir string) *served {
	t.Helper()
	s, err := Open(dir)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	pages := NewServer(s)
	server := &http.Server{Handler: pages}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { s.Run(ctx); done <- struct{}{} }()
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		done <- struct{}{}
	}()
	t.Cleanup(func() {
		cancel()
		pages.Close()
		_ = server.Close()
		<-done
		<-done
		require.NoError(t, s.Close())
	})
	return &served{s, dir, "http://" + listener.Addr().String() + pages.Path()}
}

// person is somebody in front of a page.
type person struct {
	t   testing.TB
	ctx context.Context
}

// visit opens a page in a window of a size.
func (b *browser) visit(t testing.TB, address string, width, height int64) *person {
	t.Helper()
	tab, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	ctx, cancel := context.WithTimeout(tab, 3*time.Minute)
	t.Cleanup(cancel)
	p := &person{t, ctx}
	p.watchConsole()
	p.run(chromedp.EmulateViewport(width, height), chromedp.Navigate(address))
	p.waitFor(`document.querySelectorAll('.card').length > 0`)
	return p
}

// watchConsole fails the test on whatever the browser or the script complains
// of: a page that works says nothing.
func (p *person) watchConsole() {
	require.NoError(p.t, chromedp.Listen(p.ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			d := e.ExceptionDetails
			text := d.Text
			if d.Exception != nil {
				text += " " + d.Exception.Description
			}
			p.t.Errorf("the page's script failed: %s (%s:%d)", text, d.URL, d.LineNumber)
		case *log.EventEntryAdded:
			p.t.Errorf("the browser complains: %s %s", e.Entry.Text, e.Entry.URL)
		}
	}))
}

func (p *person) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, actions...))
}

// value evaluates an expression in the page.
func value[T any](p *person, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return v
}

// waitFor waits until an expression holds in the page.
func (p *person) waitFor(expression string) {
	p.t.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(60*time.Second)))
	if err != nil {
		p.picture("failed")
	}
	require.NoError(p.t, err, expression)
}

// picture keeps a screenshot of the window.
func (p *person) picture(name string) string {
	p.t.Helper()
	data, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	require.NoError(p.t, os.MkdirAll(pictures, 0o755))
	path := filepath.Join(pictures, name+".png")
	require.NoError(p.t, os.WriteFile(path, data, 0o644))
	return path
}

func (p *person) click(selector string) { p.t.Helper(); p.run(chromedp.Click(chromedp.CSS(selector))) }

// keys presses keys one after the other.
func (p *person) keys(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.run(chromedp.KeyEvent(k))
	}
}

func button(in, label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].find(b => b.textContent.trim() === %q)`, in+" button", label)
}

// press clicks the button with a label.
func (p *person) press(in, label string) {
	p.t.Helper()
	value[bool](p, "("+button(in, label)+".click(), true)")
}

func (p *person) text(selector string) string {
	p.t.Helper()
	return strings.TrimSpace(value[string](p, fmt.Sprintf(`document.querySelector(%q).innerText`, selector)))
}
