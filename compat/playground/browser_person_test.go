//go:build browser

package playground

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"pveha/compat/scenarios"
	"pveha/compat/sim"
)

// speed sets how fast time passes on the page.
func (p *person) speed(times string) {
	p.t.Helper()
	p.run(chromedp.SetValue(chromedp.CSS("#speed"), times))
	value[bool](p, `document.querySelector('#speed').dispatchEvent(new Event('change'))`)
}

// node is an expression for the text of a node's card.
func node(name string) string {
	return fmt.Sprintf(`document.querySelector('#card-%s').innerText`, name)
}

// rowsSay is an expression: every row of the guests has one of the words in it.
func rowsSay(expression string) string {
	return `(rows => rows.length > 0 && rows.every(r => ` + expression + `))([...document.querySelectorAll('#guestrows tr:not(.space)')])`
}

var allRun = rowsSay(`r.children[2].innerText === 'started'`)

// As a person would: cut a node off, watch it fenced and its guests recovered,
// power it on again; add a rule that conflicts and read why; save a recording
// and replay it.
func TestPersonPlays(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	p := browser.visit(t, s.address, 1280, 720)
	require.NotContains(t, value[string](p, `location.href`), "token", "the key does not stay in the address bar")
	p.speed("100")
	p.waitFor(allRun)
	p.waitFor(node("node1") + `.includes('master')`)
	p.picture("1-running")

	p.speed("20") // slow enough to see every state
	p.click(`#card-node3 [aria-label="Network of node3"]`)
	p.waitFor(node("node3") + `.includes('cut off')`)
	p.waitFor(node("node3") + `.includes('fence')`)
	p.waitFor(`document.querySelector('#log').innerText.includes('server \'node3\' stopped by poweroff (watchdog)')`)
	p.waitFor(`document.querySelector('#announce').textContent !== ''`)
	p.waitFor(allRun + ` && ` + rowsSay(`!r.children[3].innerText.includes('node3')`))
	at := value[int](p, `Number(document.body.dataset.at)`)
	p.waitFor(fmt.Sprintf(`Number(document.body.dataset.at) > %d`, at+100))
	p.press("body", "Pause")
	p.waitFor(`document.querySelector('#pause').innerText.trim() === 'Go on'`)
	p.picture("2-recovered")
	p.press("body", "Go on")
	p.speed("100")

	p.click(`#card-node3 [aria-label="Power of node3"]`)
	p.waitFor(node("node3") + `.includes('online') && ` + node("node3") + `.includes('active') || ` +
		node("node3") + `.includes('wait_for_agent_lock')`)
	p.waitFor(allRun)

	p.addRule("web-apart", "apart", "vm:101", "vm:102")
	p.waitFor(`document.querySelector('#rules').innerText.includes('web-apart')`)
	p.openRule("web-together", "together", "vm:101", "vm:102")
	p.waitFor(`document.querySelector('#preview').innerText.includes('Two resources cannot be kept together')`)
	preview := p.text("#preview")
	require.Contains(t, preview, "rule shares two or more resources with a negative resource affinity rule")
	require.Contains(t, preview, "Two resources cannot be kept together by this rule and apart by another.")
	require.Contains(t, preview, "Rules that would not be applied any more: web-apart")
	p.picture("3-conflict")
	p.press("#form", "Save")
	p.waitFor(`document.querySelector('#rules').innerText.includes('web-together')`)
	require.Equal(t, 2, value[int](p, `document.querySelectorAll('#rules .rule.conflict').length`))
	require.Contains(t, p.text("#rules"), "not applied")

	p.press("#guestrows tr:first-child", "vm:101")
	p.waitFor(`document.querySelector('#sheet').innerText.includes('is here')`)
	sheet := p.text("#sheet")
	require.Contains(t, sheet, "it is wanted started, and 'node1' has it.")
	require.Contains(t, sheet, "rule 'web-apart' is not applied")
	p.picture("4-explained")
	p.keys("\x1b")
	p.waitFor(`!document.querySelector('#sheet').open`)

	recording := value[string](p, `fetch(document.querySelector('#record').href).then(r => r.text())`)
	replayed(t, []byte(recording))
}

// addRule saves a rule with the page's form.
func (p *person) addRule(name, kind string, guests ...string) {
	p.t.Helper()
	p.openRule(name, kind, guests...)
	p.waitFor(`document.querySelector('#preview').innerText.includes('Nothing speaks against it')`)
	p.press("#form", "Save")
	p.waitFor(`!document.querySelector('#form').open`)
}

func (p *person) openRule(name, kind string, guests ...string) {
	p.t.Helper()
	p.click("#tab-rules")
	p.click("#addrule")
	p.run(chromedp.SendKeys(chromedp.CSS("#ruleid"), name))
	p.click(fmt.Sprintf("#form input[value=%s]", kind))
	for _, sid := range guests {
		p.click(fmt.Sprintf("#ruleguests input[value=%q]", sid))
	}
}

// replayed plays a recording with the tester's own code, which compares the
// logs byte for byte.
func replayed(t *testing.T, recording []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.txtar")
	require.NoError(t, os.WriteFile(path, recording, 0o644))
	var report bytes.Buffer
	passed, failed, err := scenarios.Check([]string{path}, &report, sim.Options{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{passed, failed}, report.String())
}

// A recording that is opened is played to its end; the slider shows any moment
// of it, and from there it goes on.
func TestPersonScrubs(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	require.NoError(t, s.Step(10))
	require.NoError(t, s.Do([]string{"network node3 off"}))
	require.NoError(t, s.Step(25))
	require.NoError(t, s.Do([]string{"service vm:101 stopped"}))
	require.NoError(t, s.Step(5))
	recording, err := s.Recording()
	require.NoError(t, err)
	replayed(t, recording)
	path := filepath.Join(t.TempDir(), "night.txtar")
	require.NoError(t, os.WriteFile(path, recording, 0o644))

	other := serve(t, t.TempDir())
	p := browser.visit(t, other.address, 1280, 720)
	p.click("#open")
	p.run(chromedp.SetUploadFiles(chromedp.CSS("#o-archive"), []string{path}))
	p.waitFor(`document.querySelector('#log').innerText.includes('execute service vm:101 stopped')`)
	require.Contains(t, p.text("#card-node3"), "off")
	frames := value[int](p, `Number(document.querySelector('#scrub').max)`)
	require.Greater(t, frames, 30)

	scrubTo := func(i int) {
		value[bool](p, fmt.Sprintf(`{ const s = document.querySelector('#scrub'); s.value = %d; s.dispatchEvent(new Event('input')) }`, i))
	}
	scrubTo(8)
	p.waitFor(`!document.querySelector('#past').hidden`)
	p.waitFor(node("node3") + `.includes('online')`)
	require.NotContains(t, p.text("#log"), "network node3 off", "the log ends at that moment, too")
	require.True(t, value[bool](p, `document.querySelector('#card-node3 .switch').disabled`), "the past cannot be changed")
	p.picture("5-past")
	p.keys("l")
	p.waitFor(`document.querySelector('#past').hidden`)
	require.Contains(t, p.text("#card-node3"), "off")

	scrubTo(8)
	p.waitFor(node("node3") + `.includes('online')`)
	p.press("#past", "Go on from here")
	p.waitFor(`document.querySelector('#past').hidden && document.querySelector('#scrub').max < ` + fmt.Sprint(frames))
	require.Contains(t, p.text("#card-node3"), "online")
	kept, err := os.ReadDir(filepath.Join(other.dir, folderRecordings))
	require.NoError(t, err)
	require.NotEmpty(t, kept, "what came later was put aside")
}

// Copies of a live cluster's files become a cluster to play with.
func TestPersonImports(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	files := map[string]string{}
	var paths []string
	dir := t.TempDir()
	for name, data := range live() {
		if base := filepath.Base(name); !strings.Contains(name, "nodes/") {
			files[base] = string(data)
			paths = append(paths, filepath.Join(dir, base))
		}
	}
	write(t, dir, files)
	p := browser.visit(t, s.address, 1280, 720)
	p.click("#open")
	p.run(chromedp.SetUploadFiles(chromedp.CSS("#o-files"), paths))
	p.waitFor(`document.querySelector('#form').innerText.includes("pve3 was in state 'unknown': it stays off")`)
	p.keys("\x1b")
	p.speed("100")
	p.waitFor(node("pve2") + `.includes('maintenance')`)
	p.waitFor(`document.querySelectorAll('.card').length === 3`)
}

// Two pages at once show the same.
func TestTwoPagesShowTheSame(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	a, b := browser.visit(t, s.address, 1280, 720), browser.visit(t, s.address, 390, 844)
	a.speed("100")
	a.waitFor(allRun)
	b.click(`#card-node2 [aria-label="Network of node2"]`)
	a.waitFor(node("node2") + `.includes('cut off')`)
	a.press("body", "Pause")
	b.waitFor(`document.querySelector('#pause').innerText.trim() === 'Go on'`)
	const all = `JSON.stringify([document.querySelector('#cards').innerText, document.querySelector('#guestrows').textContent,
		document.querySelector('#log').textContent, document.querySelector('#now').textContent, document.body.dataset.round])`
	want := value[string](a, all)
	b.waitFor(fmt.Sprintf(`document.body.dataset.round === %q`, value[string](a, `document.body.dataset.round`)))
	got := value[string](b, all)
	require.Equal(t, strings.ReplaceAll(want, "\\t", ""), strings.ReplaceAll(got, "\\t", ""))
}
