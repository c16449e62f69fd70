// The nodes as cards.
import { h, icon, pill, put, command, run } from './dom.js';
import { nodeKind, nodeColour, sortedNodes, size } from './model.js';
import { nodeSheet } from './dialogs.js';

const lockLife = 120, watchdogLife = 60; // seconds, as in the cluster

export const kinds = {
  online: ['ok', 'check', 'online'],
  maintenance: ['warn', 'wrench', 'maintenance'],
  unknown: ['warn', 'question', 'unknown'],
  cut: ['bad', 'net', 'cut off'],
  fence: ['bad', 'bolt', 'fence'],
  off: ['', 'power', 'off'],
};

const cards = new Map();

function toggle(label, iconName, press) {
  const text = h('span', {}, label);
  return h('button', { type: 'button', class: 'switch', role: 'switch', title: label, onclick: press }, icon(iconName), text, h('i', { 'aria-hidden': 'true' }));
}

function gauge(name, extra) {
  const fill = h('div', { class: 'fill' }), val = h('span', { class: 'val' });
  const el = h('div', { class: 'gauge' + (extra ? ' extra' : '') }, h('span', { class: 'name' }, name), h('div', { class: 'track' }, fill), val);
  return { el, set(part, text, kind) {
    const width = Math.round(Math.min(1, Math.max(0, part)) * 100) + '%';
    if (fill.style.width !== width) fill.style.width = width;
    if (val.textContent !== text) val.textContent = text;
    const cls = 'gauge' + (extra ? ' extra' : '') + (kind ? ' ' + kind : '');
    if (el.className !== cls) el.className = cls;
  } };
}

function build(name, app) {
  const c = { name, node: null };
  const is = (what) => c.node?.[what];
  c.power = toggle('Power', 'power', () => run(command(`power ${name} ${is('power') ? 'off' : 'on'}`)));
  c.network = toggle('Network', 'net', () => run(command(`network ${name} ${is('network') ? 'off' : 'on'}`)));
  c.maintenance = h('button', { type: 'button', class: 'bulk', onclick: () => run(command(`crm ${name} ${is('maintenance') ? 'disable' : 'enable'}-node-maintenance`)) }, 'Maintain');
  c.reboot = h('button', { type: 'button', class: 'bulk', onclick: () => run(command('reboot ' + name)) }, 'Reboot');
  c.shutdown = h('button', { type: 'button', class: 'bulk', onclick: () => run(command('shutdown ' + name)) }, 'Shut down');
  c.more = h('button', { type: 'button', class: 'more', 'aria-label': 'More of ' + name, onclick: () => nodeSheet(app, name) }, icon('dots'));
  c.name3 = h('h3', {}, h('button', { type: 'button', class: 'link', title: 'More of this node', onclick: () => nodeSheet(app, name) }, name));
  c.head = h('span', {});
  c.state = h('span', { class: 'slot' });
  c.crm = h('dd', {}); c.lrm = h('dd', {}); c.faults = h('dd', { class: 'faults' });
  c.work = h('dd', { class: 'count' });
  c.faultName = h('dt', {}, 'Faults');
  c.lock = gauge('LRM lock', true); c.dog = gauge('Watchdog'); c.cpu = gauge('CPU'); c.mem = gauge('Memory', true);
  c.count = h('dd', { class: 'count' });
  c.el = h('article', { class: 'card', 'aria-label': 'Node ' + name, id: 'card-' + name },
    h('header', { class: 'head' }, c.name3, c.head, c.state),
    h('div', { class: 'switches' }, c.power, c.network),
    h('dl', { class: 'facts' }, h('dt', {}, 'CRM'), c.crm, c.count, h('dt', {}, 'LRM'), c.lrm, c.work, c.faultName, c.faults),
    h('div', { class: 'gauges' }, c.cpu.el, c.mem.el, c.lock.el, c.dog.el),
    h('div', { class: 'actions' }, c.maintenance, c.reboot, c.shutdown, c.more));
  for (const b of [c.power, c.network, c.maintenance, c.reboot, c.shutdown]) b.setAttribute('aria-label', `${b.textContent} of ${name}`);
  return c;
}

const text = (el, value) => { if (el.textContent !== value) el.textContent = value; };

function faultsOf(n) {
  const list = [];
  if (n.power && !n.cfsRW) list.push('file system fails');
  if (n.power && !n.cfsUpdate) list.push('file system is stale');
  if (n.shutdown) list.push(n.shutdown === 'reboot' ? 'reboots' : 'shuts down');
  return list.join(', ');
}

function paint(c, n, s, app) {
  const kind = nodeKind(n), master = s.cluster.master === n.name;
  c.node = n;
  const cls = 'card ' + kind;
  if (c.el.className !== cls) c.el.className = cls;
  const colour = nodeColour(s, n.name);
  if (c.colour !== colour) c.el.style.setProperty('--node', c.colour = colour);
  put(c.head, String(master), () => master ? h('span', { class: 'master' }, icon('star', 'master'), h('span', { 'aria-hidden': 'true' }, 'master')) : []);
  put(c.state, kind, () => pill(...kinds[kind]));
  for (const [b, on] of [[c.power, n.power], [c.network, n.network]]) {
    if (b.getAttribute('aria-checked') !== String(on)) b.setAttribute('aria-checked', on);
    b.disabled = app.past;
  }
  c.network.disabled = app.past || !n.power;
  text(c.crm, n.crm || (n.power ? 'not running' : '–'));
  text(c.lrm, n.lrm ? n.lrm + (n.mode && n.mode !== 'active' && n.mode !== n.lrm ? `, mode ${n.mode}` : '') : (n.power ? 'not running' : '–'));
  text(c.count, `${n.running} ${n.running === 1 ? 'guest' : 'guests'}`);
  text(c.work, n.orders ? `${n.orders} in work` : '');
  const faults = faultsOf(n);
  c.faultName.hidden = c.faults.hidden = !faults;
  text(c.faults, faults);
  c.maintenance.title = n.maintenance ? 'End the maintenance' : 'Move the guests away and keep it empty';
  c.maintenance.setAttribute('aria-pressed', n.maintenance);
  c.maintenance.disabled = app.past;
  c.reboot.disabled = c.shutdown.disabled = app.past || !n.power || n.shutdown !== '';
  c.cpu.set(n.maxcpu ? n.cpu / n.maxcpu : 0, `${n.cpu.toFixed(1)} / ${n.maxcpu}`, n.cpu > n.maxcpu ? 'bad' : '');
  c.mem.set(n.maxmem ? n.mem / n.maxmem : 0, size(n.mem), n.mem > n.maxmem ? 'bad' : '');
}

/** tick shows what passes with time alone: the age of locks, the count-down of watchdogs. */
export function tickNodes(s, now) {
  for (const [name, c] of cards) {
    const [lock, dog] = s.pulse[name] ?? [-1, -1];
    if (lock < 0) c.lock.set(0, 'none'); else {
      const age = Math.max(0, Math.floor(now - lock));
      c.lock.set(1 - age / lockLife, age > lockLife ? `lost` : `${age} s old`, age > lockLife ? 'bad' : age > 60 ? 'warn' : '');
    }
    if (dog < 0) c.dog.set(0, 'not open'); else {
      const left = Math.min(watchdogLife, Math.max(0, Math.ceil(watchdogLife - (now - dog))));
      c.dog.set(left / watchdogLife, `${left} s left`, left <= 9 ? 'bad' : left <= 18 ? 'warn' : '');
    }
  }
}

export function renderNodes(box, s, app) {
  const nodes = sortedNodes(s);
  for (const name of cards.keys()) if (!s.nodes.has(name)) { cards.get(name).el.remove(); cards.delete(name); }
  box.classList.toggle('many', nodes.length > 6);
  nodes.forEach((n, i) => {
    let c = cards.get(n.name);
    if (!c) cards.set(n.name, c = build(n.name, app));
    if (box.children[i] !== c.el) box.insertBefore(c.el, box.children[i] ?? null);
    paint(c, n, s, app);
  });
}
