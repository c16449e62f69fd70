//go:build browser

package playground

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
)

// focused describes what has the focus.
func (p *person) focused() string {
	p.t.Helper()
	return value[string](p, `(e => e.getAttribute('aria-label') || e.id || e.textContent.trim())(document.activeElement)`)
}

// tabTo presses Tab until something has the focus.
func (p *person) tabTo(want string) {
	p.t.Helper()
	for range 120 {
		p.keys(kb.Tab)
		if p.focused() == want {
			return
		}
	}
	require.Fail(p.t, "Tab does not lead there", want)
}

// Everything is done without a mouse.
func TestKeyboardAlone(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	p := browser.visit(t, s.address, 1280, 720)
	p.keys("+", "+", "+") // 10, 20, 50, 100
	p.waitFor(`document.querySelector('#speed').value === '100'`)
	p.waitFor(allRun)
	p.keys(" ")
	p.waitFor(`document.querySelector('#pause').innerText.trim() === 'Go on'`)
	round := value[string](p, `document.body.dataset.round`)
	p.keys(".")
	p.waitFor(`document.body.dataset.round !== '` + round + `'`)
	p.keys(" ")

	p.keys("n")
	require.Equal(t, "node1", p.focused())
	p.tabTo("Network of node3")
	require.True(t, value[bool](p, `getComputedStyle(document.activeElement).outlineStyle === 'solid' && parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2`), "the focus shows")
	p.keys(" ")
	p.waitFor(node("node3") + `.includes('cut off')`)
	p.waitFor(node("node3") + `.includes('off') && !` + node("node3") + `.includes('cut off')`)
	p.waitFor(allRun)
	p.keys("\r") // the network's switch is off limits now, so this does nothing
	p.keys("n")
	p.tabTo("Power of node3")
	p.keys(" ")
	p.waitFor(node("node3") + `.includes('online')`)

	p.keys("g")
	require.Equal(t, "vm:101", p.focused())
	p.keys("\r")
	p.waitFor(`document.querySelector('#sheet').open && document.querySelector('#sheet').innerText.includes('is here')`)
	p.tabTo("migrate")
	p.keys("\r")
	p.waitFor(`document.querySelector('#log').innerText.includes('execute service vm:101 migrate')`)
	p.keys("\x1b")
	p.waitFor(`!document.querySelector('#sheet').open`)
	p.waitFor(`document.activeElement.textContent === 'vm:101'`) // the focus goes back to where it was

	p.keys("r")
	p.waitFor(`document.querySelector('#form').open`)
	require.Equal(t, "ruleid", p.focused())
	p.keys("n", "e", "a", "r", kb.Tab, " ", kb.Tab, " ")
	p.waitFor(`document.querySelector('#preview').innerText.includes('Keep apart')`)
	p.keys("\x1b")
	p.waitFor(`document.activeElement.textContent === 'vm:101'`)

	p.keys("t")
	require.Equal(t, "canvas", p.focused())
	p.keys(kb.ArrowLeft, kb.ArrowLeft, kb.ArrowDown)
	p.waitFor(`/node2: /.test(document.querySelector('#readout').textContent)`)
	for range 12 {
		p.keys(kb.ArrowLeft)
	}
	p.keys("\r")
	p.waitFor(`!document.querySelector('#past').hidden`)
	p.keys("l")
	p.waitFor(`document.querySelector('#past').hidden`)
	p.keys("/")
	require.Equal(t, "Filter the log", p.focused())
	p.keys(kb.Backspace) // the test's keyboard types the character in spite of the page
	p.keys("m", "i", "g", "r", "a", "t", "e")
	p.waitFor(`[...document.querySelectorAll('#log li')].every(l => l.textContent.includes('migrate'))`)
	p.tabTo("tab-log")
	p.keys(kb.ArrowRight)
	p.waitFor(`!document.querySelector('#p-rules').hidden`)
	p.keys("?")
	p.waitFor(`document.querySelector('#form').open && document.querySelector('#form').innerText.includes('Space')`)
}

// busy fills a cluster with every state a page can show.
func busy(t testing.TB, s *served) {
	t.Helper()
	require.NoError(t, s.Step(6))
	require.NoError(t, s.Do([]string{
		"network node3 off", "crm node2 enable-node-maintenance", "service vm:101 fail start always", "service vm:102 lock",
		"service vm:104 stopped", "cfs node2 update fail",
		"rule add resource-affinity web-apart affinity=negative resources=vm:101,vm:102",
		"rule add resource-affinity web-near affinity=positive resources=vm:101,vm:102",
		"group add elders nodes=node1:2,node2",
	}))
	require.NoError(t, s.Step(8))
}

// Nothing is wider than the window but what scrolls by itself, and every
// control is large enough and has a name.
func TestWidths(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	busy(t, s)
	for _, size := range [][2]int64{{1280, 720}, {390, 844}, {768, 1024}, {1920, 1080}} {
		p := browser.visit(t, s.address, size[0], size[1])
		for _, open := range []string{"", "#tab-rules", "#tab-settings", "#addrule", "#new", "#open", "#help", "#guestrows button.link", "#card-node1 .more"} {
			if open != "" {
				value[bool](p, fmt.Sprintf(`(document.querySelectorAll('dialog[open]').forEach(d => d.close()), document.querySelector(%q).click(), true)`, open))
			}
			require.NotRegexp(t, `\[object|undefined|NaN`, value[string](p, `document.body.innerText`), open)
			wide := value[int](p, `document.documentElement.scrollWidth`)
			require.LessOrEqual(t, wide, int(size[0]), "%v %s", size, open)
			out := value[[]string](p, `[...document.querySelectorAll('button, select, input, .pill')].filter(e => {
				const r = e.getBoundingClientRect();
				return e.checkVisibility() && !e.closest('.scroller') && !e.closest('.sr') && r.width > 0 && (r.right > innerWidth + 1 || r.left < -1);
			}).map(e => e.outerHTML.slice(0, 90))`)
			require.Empty(t, out, "%v %s", size, open)
			cut := value[[]string](p, `[...document.querySelectorAll('.card button, .card .pill, .top button')].filter(e => {
				const box = e.closest('.card, .top').getBoundingClientRect(), r = e.getBoundingClientRect();
				return e.checkVisibility() && (r.right > box.right - 8 || e.scrollWidth > e.clientWidth + 1);
			}).map(e => e.outerHTML.slice(0, 90))`)
			require.Empty(t, cut, "%v %s", size, open)
		}
		value[bool](p, `(document.querySelectorAll('dialog[open]').forEach(d => d.close()), document.querySelector('#tab-rules').click(), true)`)
		p.picture(fmt.Sprintf("6-width-%d", size[0]))
	}
}

func TestEverythingHasAName(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	busy(t, s)
	p := browser.visit(t, s.address, 1280, 720)
	for _, open := range []string{"#tab-settings", "#tab-rules", "#addrule", "#addgroup", "#addguest", "#new", "#open", "#guestrows button.link", "#card-node1 .more"} {
		value[bool](p, fmt.Sprintf(`(document.querySelectorAll('dialog[open]').forEach(d => d.close()), document.querySelector(%q).click(), true)`, open))
		nameless := value[[]string](p, `[...document.querySelectorAll('button, select, input, a, canvas')].filter(e => e.checkVisibility() &&
			!(e.getAttribute('aria-label') || e.textContent.trim() && e.tagName !== 'SELECT' || e.labels?.[0]?.textContent.trim() || e.getAttribute('aria-labelledby') || e.getAttribute('aria-hidden'))).map(e => e.outerHTML.slice(0, 120))`)
		require.Empty(t, nameless, open)
		small := value[[]string](p, `[...document.querySelectorAll('button, select, a')].filter(e => e.checkVisibility() && !e.matches('.skip') && (e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24)).map(e => e.outerHTML.slice(0, 120))`)
		require.Empty(t, small, "%s: too small to hit", open)
	}
	// Colour is never alone: a state has a word and a sign.
	bare := value[[]string](p, `[...document.querySelectorAll('.pill.ok, .pill.warn, .pill.bad, .pill.info, .remark')].filter(e => !e.querySelector('svg') || !e.textContent.trim()).map(e => e.outerHTML)`)
	require.Empty(t, bare)
}

// contrastScript lists the texts whose contrast with what is behind them is
// below what WCAG 2.2 wants at level AA.
const contrastScript = `(() => {
	const rgb = (s) => { const m = s.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
	const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const behind = (e) => {
		const layers = [];
		for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) layers.push(c); if (c[3] === 1) break; }
		return layers.reverse().reduce((b, a) => over(a, b), [255, 255, 255, 1]);
	};
	const light = (c) => { const v = c.slice(0, 3).map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4); return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
	const bad = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.textContent.trim() || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || e.closest('.sr, :disabled, .skip, option, noscript')) continue;
		const style = getComputedStyle(e), back = behind(e), front = over(rgb(style.color), back);
		const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
		const ratio = (a + .05) / (b + .05), px = parseFloat(style.fontSize);
		const need = px >= 24 || px >= 18.66 && Number(style.fontWeight) >= 700 ? 3 : 4.5;
		if (ratio < need) bad.push(ratio.toFixed(2) + ' ' + e.className + ' ' + n.textContent.trim().slice(0, 40));
	}
	return bad;
})()`

// barScript lists the colours of the timeline on which the names in the bars
// cannot be read, or that the picture's ground swallows.
const barScript = `(async () => {
	const { inkOn } = await import('./timeline.js');
	const light = (h) => { const v = [1, 3, 5].map(i => parseInt(h.slice(i, i + 2), 16) / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4); return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
	const style = getComputedStyle(document.documentElement), get = (n) => style.getPropertyValue(n).trim();
	const bad = [];
	for (let i = 0; i < 8; i++) { const c = get('--n' + i); if (ratio(c, inkOn(c)) < 4.5 || ratio(c, get('--card')) < 3) bad.push(c + ' ' + ratio(c, inkOn(c)).toFixed(2) + ' ' + ratio(c, get('--card')).toFixed(2)); }
	for (const n of ['--edge', '--bad', '--warn', '--accent']) if (ratio(get(n), get('--card')) < 3) bad.push(n);
	return bad;
})()`

func (p *person) scheme(name string) {
	p.t.Helper()
	p.run(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

func TestContrast(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	busy(t, s)
	p := browser.visit(t, s.address, 1280, 720)
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		for _, open := range []string{"#tab-log", "#tab-rules", "#tab-settings", "#addrule", "#open", "#help", "#guestrows button.link", "#card-node1 .more"} {
			value[bool](p, fmt.Sprintf(`(document.querySelectorAll('dialog[open]').forEach(d => d.close()), document.querySelector(%q).click(), true)`, open))
			if strings.Contains(open, "guestrows") {
				p.waitFor(`document.querySelector('#sheet').innerText.includes('is here')`)
			}
			require.Empty(t, value[[]string](p, contrastScript), "%s %s", scheme, open)
		}
		require.Empty(t, value[[]string](p, barScript), scheme)
		value[bool](p, `(document.querySelectorAll('dialog[open]').forEach(d => d.close()), true)`)
		p.picture("7-" + scheme)
	}
	require.Equal(t, 0, value[int](p, `document.getAnimations().length`), "nothing moves for who does not want it")
}

// used is the processor time of this process, in which the server runs; the
// browser is another.
func used(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Limits of the promise for 20 nodes and 1,000 guests.
const (
	mostDelay = 100 * time.Millisecond
	mostCores = 1.0
)

// 20 nodes and 1,000 guests stay smooth: what changes reaches the page in under
// 100 ms, and at 100x the server stays under one core.
func TestLargeClusterStaysSmooth(t *testing.T) {
	browser := newBrowser(t)
	s := serve(t, t.TempDir())
	files, err := Fresh(20, 1000)
	require.NoError(t, err)
	require.NoError(t, s.Begin(files))
	p := browser.visit(t, s.address, 1280, 720)
	p.speed("100")
	p.waitFor(`document.querySelector('#guestcount').textContent === '1000'`)
	require.Less(t, value[int](p, `document.querySelectorAll('#guestrows tr').length`), 60, "only what can be seen is in the page")
	p.waitFor(allRun + ` && document.querySelector('#card-node20').innerText.includes('online')`)
	for range 3 { // long enough that every guest has been started
		p.run(chromedp.Sleep(time.Second))
	}
	p.picture("8-large")

	require.NoError(t, s.Do([]string{"network node20 off"}))
	before, start := used(t), time.Now()
	p.waitFor(`document.querySelector('#health').innerText.includes('50 in trouble')`)
	p.waitFor(`!document.querySelector('#health').innerText.includes('in trouble')`)
	cores := (used(t) - before).Seconds() / time.Since(start).Seconds()
	t.Logf("at 100x through a failover of 50 guests the server used %.2f cores", cores)
	require.Less(t, cores, mostCores)

	paused := true
	require.NoError(t, s.Set(&paused, nil))
	names := slices.SortedFunc(maps.Keys(s.play.history.now.guests), func(a, b ha.SID) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a.Name(), b.Name())) })
	var delays []time.Duration
	for i := range 11 {
		delays = append(delays, p.delay(s, names[:50], i))
	}
	slices.Sort(delays)
	t.Logf("eleven updates of 50 guests each reached the page in %v to %v, half of them within %v", delays[0], delays[10], delays[5])
	require.Less(t, delays[5], mostDelay)
	t.Logf("an update of all 1000 guests reached it in %v", p.delay(s, names, 1))
}

// delay changes guests at once and measures how long it takes until it is in
// the page, by the clock of the machine. The page marks its body whenever it
// has taken something in.
func (p *person) delay(s *served, sids []ha.SID, turn int) time.Duration {
	p.t.Helper()
	state := []string{"stopped", "started"}[turn%2]
	commands := []string{}
	for _, sid := range sids {
		commands = append(commands, fmt.Sprintf("service %s %s", sid, state))
	}
	value[bool](p, fmt.Sprintf(`(() => { window.seen = 0;
		const watch = new MutationObserver(() => {
			if (![...document.querySelectorAll('#guestrows select')].slice(0, 10).every(e => e.value === %q)) return;
			window.seen = performance.timeOrigin + performance.now();
			watch.disconnect();
		});
		watch.observe(document.body, { attributes: true });
		return true; })()`, state))
	start := time.Now()
	require.NoError(p.t, s.Do(commands))
	p.waitFor(`window.seen > 0`)
	return time.UnixMicro(int64(value[float64](p, `window.seen`) * 1000)).Sub(start)
}
