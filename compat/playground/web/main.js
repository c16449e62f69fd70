// The page: what the server tells goes into the model, and what is looked at,
// now or an earlier moment, onto the screen.
import { $, h, icon, pill, put, post, run } from './dom.js';
import { Model, clock } from './model.js';
import { renderNodes, tickNodes } from './nodes.js';
import { renderGuests } from './guests.js';
import { renderLog, renderRules, renderSettings } from './side.js';
import { Timeline } from './timeline.js';
import { refreshSheet, addGuest, ruleForm, groupForm, newSession, openSession, helpDialog } from './dialogs.js';

const app = {
  model: new Model(), view: null, past: false, index: 0,
  clock: { paused: true, speed: 1, time: 0, over: '', unkept: '' }, heard: 0,
  /** now is the simulated time, as it passes between two messages. */
  now() {
    const c = this.clock;
    if (c.paused || c.over) return Math.max(c.time, 0);
    return Math.min(c.time + (performance.now() - this.heard) / 1000 * c.speed, Math.max(this.model.live.end ?? 0, c.time));
  },
  shownTime() { return this.past ? this.view.at : this.now(); },
  firstNode() { return [...this.view.nodes.keys()][0]; },
  dirty() { if (!scheduled) { scheduled = true; requestAnimationFrame(paint); } },
  /** look shows the moment t; the last moment is now. */
  look(t) { this.lookAt(this.model.frameAt(t)); },
  lookAt(i) {
    this.past = i < this.model.frames.length - 1;
    this.index = i;
    this.view = this.model.state(i);
    this.dirty();
  },
  live() { this.lookAt(this.model.frames.length - 1); },
};

let scheduled = false, timeline = null;

function setClock(c) {
  app.clock = c;
  app.heard = performance.now();
}

function health(c, s) {
  const nodes = [...s.nodes.values()];
  const guests = [...s.guests.values()];
  const broken = guests.filter((g) => ['error', 'recovery', 'fence'].includes(g.state)).length;
  const list = [
    c.quorate ? pill('ok', 'check', 'quorate') : pill('bad', 'x', 'no quorum'),
    c.disarm.mode ? pill('warn', 'pause', c.disarm.state || 'disarming') : pill('ok', 'lock', 'armed'),
    h('span', { class: 'pill' }, `${nodes.filter((n) => n.power && n.network).length}/${nodes.length} nodes`),
  ];
  if (broken) list.push(pill('bad', 'bolt', `${broken} in trouble`));
  if (c.queue.length) list.push(pill('info', 'clock', `${c.queue.length} waiting for a master`));
  return list;
}

function paintHead() {
  const c = app.clock, s = app.view;
  put($('health'), JSON.stringify([s.cluster.quorate, s.cluster.disarm, s.cluster.queue.length, [...s.nodes.values()].map((n) => n.power && n.network), [...s.guests.values()].map((g) => ['error', 'recovery', 'fence'].includes(g.state)).filter(Boolean).length]), () => health(s.cluster, s));
  const stopped = c.paused || c.over !== '';
  if (put($('pause'), String(stopped), () => [icon(stopped ? 'play' : 'pause'), h('span', {}, stopped ? 'Go on' : 'Pause')])) $('pause').setAttribute('aria-pressed', stopped);
  $('pause').disabled = c.over !== '';
  $('step').disabled = c.over !== '';
  const speed = $('speed');
  if (document.activeElement !== speed && speed.value !== String(c.speed)) {
    if (![...speed.options].some((o) => o.value === String(c.speed))) speed.append(h('option', { value: c.speed }, c.speed + '×'));
    speed.value = String(c.speed);
  }
  $('past').hidden = !app.past;
  if (app.past) $('pasttext').textContent = `You look at ${clock(s.at)}, ${clock(app.model.live.at - s.at)} before now.`;
  const wrong = c.over || c.unkept;
  $('over').hidden = !wrong;
  if ($('overtext').textContent !== wrong) $('overtext').textContent = wrong;
  const scrub = $('scrub'), last = app.model.frames.length - 1;
  scrub.max = last;
  if (document.activeElement !== scrub || !app.past) scrub.value = app.past ? app.index : last;
  scrub.setAttribute('aria-valuetext', clock(s.at) + (app.past ? '' : ', now'));
}

function tick() {
  const t = app.shownTime();
  $('now').textContent = clock(t);
  tickNodes(app.view, t);
}

function paint() {
  scheduled = false;
  if (!app.view?.cluster) return;
  paintHead();
  tick();
  renderNodes($('cards'), app.view, app);
  const [shown, all] = renderGuests($('guestrows'), app.view, app, $('guestfilter').value);
  $('guestcount').textContent = shown === all ? String(all) : `${shown} of ${all}`;
  $('noguests').hidden = shown > 0;
  $('noguests').textContent = all ? 'No guest matches the filter.' : 'No guests yet: add one.';
  $('addguest').disabled = app.past;
  if (!$('p-log').hidden) renderLog(app);
  renderRules(app);
  if (!$('p-settings').hidden) renderSettings(app);
  timeline.draw();
  refreshSheet(app);
  document.body.dataset.round = app.model.live.round; // what the page has shown, for those who wait for it
  document.body.dataset.at = app.model.live.at;
}

/** tell says aloud what a person would want to hear without looking. */
function tell(frame) {
  const said = [];
  for (const m of frame.marks ?? []) {
    if (m.kind === 'watchdog') said.push(`${m.node} was reset by its watchdog`);
    if (m.kind === 'state' && m.to === 'recovery') said.push(`${m.sid} is being recovered`);
    if (m.kind === 'state' && m.to === 'error') said.push(`${m.sid} is in an error state`);
  }
  for (const n of frame.nodes ?? []) {
    const key = `${n.name} ${n.power ? n.state : 'off'}`;
    if (told.get(n.name) !== key) { if (told.has(n.name)) said.push(`${n.name} is ${n.power ? n.state : 'off'}`); told.set(n.name, key); }
  }
  if (said.length) $('announce').textContent = said.slice(0, 6).join('. ') + (said.length > 6 ? `. And ${said.length - 6} more.` : '.');
}
const told = new Map();

function connect() {
  const source = new EventSource('api/events');
  source.addEventListener('start', (e) => {
    const d = JSON.parse(e.data);
    app.model.reset(d);
    told.clear();
    setClock(d.clock);
    $('offline').hidden = true;
    app.live();
  });
  source.addEventListener('frame', (e) => {
    const d = JSON.parse(e.data);
    const wasLive = !app.past;
    app.model.add(d.frame);
    setClock(d.clock);
    tell(d.frame);
    if (wasLive) app.live(); else app.dirty();
  });
  source.addEventListener('clock', (e) => { setClock(JSON.parse(e.data)); app.dirty(); });
  source.addEventListener('error', () => { $('offline').hidden = false; });
}

const setPaused = (paused) => run(post('clock', { paused }));
const step = () => run(post('step', { rounds: 1 }));

let asked = null, asking = 0; // the speed that was asked for, while the answer is on its way

async function faster(by) {
  const values = [...$('speed').options].map((o) => Number(o.value)).sort((a, b) => a - b);
  const at = values.indexOf(asked ?? app.clock.speed);
  asked = values[Math.min(values.length - 1, Math.max(0, at + by))];
  asking++;
  await run(post('clock', { speed: asked }));
  if (--asking === 0) asked = null;
}

function showTab(name) {
  for (const tab of $('tabs').children) {
    const on = tab.id === 'tab-' + name;
    tab.setAttribute('aria-selected', on);
    tab.tabIndex = on ? 0 : -1;
    $(tab.getAttribute('aria-controls')).hidden = !on;
  }
  app.dirty();
}

const shortcuts = {
  ' ': () => { if (!app.clock.over) setPaused(!app.clock.paused); },
  '.': step, '+': () => faster(1), '-': () => faster(-1), l: () => app.live(),
  n: () => $('cards').querySelector('button')?.focus(), t: () => { $('timeline').scrollIntoView({ block: 'nearest' }); $('canvas').focus(); },
  g: () => { $('guests').scrollIntoView({ block: 'nearest' }); $('guestrows').querySelector('button')?.focus(); }, r: () => { if (!app.past) { showTab('rules'); ruleForm(app); } },
  '/': () => { showTab('log'); $('logfilter').focus(); }, '?': helpDialog,
};

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  const t = e.target;
  if (t.matches('input:not([type=range]), select, textarea')) return;
  if (e.key === ' ' && t.matches('button, a, [role=tab], canvas, summary')) return;
  const act = shortcuts[e.key];
  if (!act) return;
  e.preventDefault();
  act();
});

$('tabs').addEventListener('keydown', (e) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
  if (!by) return;
  const tabs = [...$('tabs').children], next = tabs[(tabs.indexOf(e.target) + by + tabs.length) % tabs.length];
  showTab(next.id.slice(4));
  next.focus();
});
$('tabs').addEventListener('click', (e) => { const tab = e.target.closest('[role=tab]'); if (tab) showTab(tab.id.slice(4)); });

$('pause').addEventListener('click', () => setPaused(!app.clock.paused));
$('step').addEventListener('click', step);
$('speed').addEventListener('change', () => run(post('clock', { speed: Number($('speed').value) })));
$('scrub').addEventListener('input', () => app.lookAt(Number($('scrub').value)));
$('golive').addEventListener('click', () => app.live());
$('goon').addEventListener('click', () => run(post('back', { rounds: app.view.round })));
$('window').addEventListener('change', () => app.dirty());
$('guestfilter').addEventListener('input', () => app.dirty());
$('logfilter').addEventListener('input', () => app.dirty());
$('loglevel').addEventListener('change', () => app.dirty());
$('addguest').addEventListener('click', () => addGuest(app));
$('addrule').addEventListener('click', () => ruleForm(app));
$('addgroup').addEventListener('click', () => groupForm(app));
$('new').addEventListener('click', newSession);
$('open').addEventListener('click', openSession);
$('help').addEventListener('click', helpDialog);

if (location.search) history.replaceState(null, '', location.pathname); // the key has done its work
timeline = new Timeline(app, $('chart'), $('canvas'), $('readout'));
app.view = app.model.live;
setInterval(() => { if (app.view?.cluster && !app.past && !app.clock.paused && !document.hidden) { tick(); timeline.draw(); } }, 250);
connect();
