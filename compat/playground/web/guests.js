// The guests as a table.
import { h, icon, pill, put, command, run } from './dom.js';
import { nodeColour, sortedGuests } from './model.js';
import { guestSheet } from './dialogs.js';

export const states = {
  started: ['ok', 'play'], stopped: ['', 'stop'], request_stop: ['warn', 'stop'], request_start: ['info', 'clock'],
  request_start_balance: ['info', 'arrow'], fence: ['bad', 'bolt'], recovery: ['bad', 'bolt'], migrate: ['info', 'arrow'],
  relocate: ['info', 'arrow'], freeze: ['warn', 'snow'], error: ['bad', 'x'], '': ['', 'question'],
};

export function statePill(g) {
  const [kind, name] = states[g.state] ?? ['', 'question'];
  if (g.state === 'started' && !(g.runs ?? []).length) return pill('info', 'clock', 'starting up');
  return pill(kind, name, g.state || (g.wanted === 'ignored' ? 'ignored' : 'not taken in'));
}

export function remarks(g) {
  const list = [];
  const add = (kind, iconName, text) => list.push([kind, iconName, text]);
  if ((g.runs ?? []).length > 1) add('bad', 'warn', 'runs on ' + g.runs.join(' and '));
  if ((g.failed ?? []).length) add('bad', 'x', 'failed on ' + g.failed.join(', '));
  if (g.lock) add('warn', 'lock', 'locked: ' + g.lock);
  for (const [action, tries] of Object.entries(g.fail ?? {})) add('warn', 'warn', `${action} fails${tries > 0 ? ` ${tries}×` : ''}`);
  if (g.home) add('', 'wrench', 'returns to ' + g.home);
  if (g.command) add('', 'clock', 'waiting: ' + g.command);
  if ((g.runs ?? []).length && ['stopped', 'fence', 'recovery'].includes(g.state)) add('', 'play', 'runs on ' + g.runs[0]);
  return list;
}

const rows = new Map();
const requests = ['started', 'stopped', 'disabled', 'ignored'];

function build(sid, app) {
  const r = { sid, guest: null };
  r.name = h('button', { type: 'button', class: 'link', onclick: () => guestSheet(app, sid), title: 'Why is it where it is?' }, sid);
  r.wanted = h('select', { 'aria-label': 'Requested state of ' + sid, onchange: async () => {
    if (!await run(command(`service ${sid} ${r.wanted.value}`))) r.wanted.value = r.guest.wanted;
  } }, requests.map((v) => h('option', { value: v }, v)));
  r.state = h('td', {}); r.place = h('td', {}); r.remarks = h('td', {});
  r.act = h('button', { type: 'button', 'aria-label': `Actions for ${sid}`, onclick: () => guestSheet(app, sid, true) }, 'Move');
  r.el = h('tr', { 'data-sid': sid }, h('th', { scope: 'row', class: 'name' }, r.name), h('td', {}, r.wanted), r.state, r.place, r.remarks, h('td', {}, r.act));
  return r;
}

export function placeOf(s, g) {
  const up = (g.runs ?? []).includes(g.node);
  return h('span', { class: 'place', node: nodeColour(s, g.node) },
    h('span', { class: 'dot' + (up ? '' : ' hollow'), 'aria-hidden': 'true' }), g.node,
    g.target ? [icon('arrow', 'to'), g.target] : null);
}

function paint(r, g, s, app) {
  if (r.guest !== g || r.nodes !== s.nodes.size) {
    r.guest = g; r.nodes = s.nodes.size;
    if (document.activeElement !== r.wanted || r.wanted.value !== g.wanted) r.wanted.value = g.wanted;
    put(r.state, `${g.state}|${g.wanted}|${(g.runs ?? []).length}`, () => statePill(g));
    put(r.place, `${g.node}|${g.target}|${g.runs}|${s.nodes.size}`, () => placeOf(s, g));
    const list = remarks(g), words = list.map((l) => l[2]).join('; ');
    if (put(r.remarks, words, () => list.map(([kind, name, text]) => h('span', { class: 'remark ' + kind }, icon(name), text)))) r.remarks.title = words;
  }
  if (r.wanted.disabled !== app.past) r.wanted.disabled = r.act.disabled = app.past;
}

const matches = (g, words) => {
  const text = [g.sid, g.wanted, g.state, g.node, g.target, g.lock, g.group].join(' ').toLowerCase();
  return words.every((w) => text.includes(w));
};

const rowHeight = 41, spare = 10; // as in the style sheet; rows beyond what can be seen
const few = 120; // so many rows are all in the page

const view = { top: 0, height: 430, ready: false };

/** follow keeps the place to which the table is scrolled: asking for it would make the browser lay out the page. */
function follow(scroller, app) {
  view.ready = true;
  scroller.addEventListener('scroll', () => { view.top = scroller.scrollTop; app.dirty(); }, { passive: true });
  new ResizeObserver(([e]) => { view.height = e.contentRect.height; app.dirty(); }).observe(scroller);
}

function spacer(rows) {
  const el = h('tr', { class: 'space', 'aria-hidden': 'true' }, h('td', { colSpan: 6 }));
  el.firstChild.style.height = rows * rowHeight + 'px';
  return el;
}

/** renderGuests shows the guests that match the filter; of many only those around what can be seen are in the page. */
export function renderGuests(body, s, app, filter) {
  const table = body.closest('table');
  if (!view.ready) follow(body.closest('.scroller'), app);
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const all = sortedGuests(s), shown = words.length ? all.filter((g) => matches(g, words)) : all;
  for (const sid of rows.keys()) if (!s.guests.has(sid)) { rows.get(sid).el.remove(); rows.delete(sid); }
  let first = 0, last = shown.length;
  if (shown.length > few) {
    first = Math.max(0, Math.min(Math.floor(view.top / rowHeight) - spare, shown.length - 1));
    first -= first % 2;
    last = Math.min(shown.length, first + Math.ceil(view.height / rowHeight) + 2 * spare);
  }
  const parts = shown.slice(first, last).map((g, i) => {
    let r = rows.get(g.sid);
    if (!r) rows.set(g.sid, r = build(g.sid, app));
    paint(r, g, s, app);
    const index = first + i + 2; // the head of the table is the first row
    if (r.index !== index) r.el.setAttribute('aria-rowindex', r.index = index);
    return r.el;
  });
  const key = [first, last, shown.length, parts[0]?.dataset.sid, parts.at(-1)?.dataset.sid].join();
  if (body.dataset.key !== key || parts.length !== body.querySelectorAll('tr:not(.space)').length || parts.some((el) => !el.parentElement)) {
    body.dataset.key = key;
    table.setAttribute('aria-rowcount', shown.length + 1);
    replaceRows(body, [first ? spacer(first) : null, ...parts, last < shown.length ? spacer(shown.length - last) : null].filter(Boolean));
  }
  return [shown.length, all.length];
}

/** replaceRows changes as little as it can, so that the row with the focus keeps it. */
function replaceRows(body, wanted) {
  const keep = new Set(wanted);
  for (const el of [...body.children]) if (!keep.has(el)) el.remove();
  wanted.forEach((el, i) => { if (body.children[i] !== el) body.insertBefore(el, body.children[i] ?? null); });
}
