// The panel with the log, the rules and the settings.
import { h, icon, pill, put, command, run, $ } from './dom.js';
import { clock } from './model.js';
import { ruleForm, groupForm } from './dialogs.js';

const maxLines = 200;

const tags = { err: 'error', warn: 'warning' };

function lineClass([, level, from, text]) {
  if (level === 'err') return 'err';
  if (level === 'warn') return 'warn';
  if (from === 'cmdlist') return 'cmd';
  if (from === 'watchdog') return 'err';
  return /fence|recover/.test(text) ? 'wdog' : '';
}

const keep = {
  '': () => true,
  warn: (l) => l[1] === 'err' || l[1] === 'warn' || l[2] === 'watchdog',
  cmd: (l) => l[2] === 'cmdlist',
  crm: (l) => l[2].endsWith('/crm'),
  lrm: (l) => l[2].endsWith('/lrm'),
};

let shown = { log: null, count: 0, key: '' };

function lineItem(l) {
  const tag = tags[l[1]];
  return h('li', { class: lineClass(l) }, h('span', { class: 'at' }, clock(l[0])), tag ? h('span', { class: 'tag' }, tag) : null, h('span', { class: 'from' }, l[2]), l[3]);
}

/** renderLog shows the newest lines that match, newest first; what is there already stays. */
export function renderLog(app) {
  const words = $('logfilter').value.toLowerCase().split(/\s+/).filter(Boolean), level = $('loglevel').value;
  const until = app.past ? app.view.at : Infinity;
  const key = [words.join(' '), level, until].join('|'), log = app.model.log, list = $('log');
  const anew = shown.log !== log || shown.key !== key;
  if (!anew && shown.count === log.length) return;
  const items = [];
  for (let i = log.length - 1; i >= (anew ? 0 : shown.count) && items.length < maxLines; i--) {
    const l = log[i];
    if (l[0] > until || !keep[level](l)) continue;
    if (words.length) {
      const text = `${clock(l[0])} ${l[1]} ${l[2]} ${l[3]}`.toLowerCase();
      if (!words.every((w) => text.includes(w))) continue;
    }
    items.push(lineItem(l));
  }
  shown = { log, count: log.length, key };
  if (anew) list.replaceChildren(...(items.length ? items : [h('li', { class: 'empty' }, 'No line matches.')]));
  else if (items.length) {
    if (list.firstElementChild?.className === 'empty') list.replaceChildren();
    list.prepend(...items);
    while (list.children.length > maxLines) list.lastElementChild.remove();
  }
}

export function sentence(r) {
  if (r.type === 'node-affinity') return r.strict ? 'Only on these nodes' : 'Prefer these nodes';
  return r.affinity === 'negative' ? 'Keep apart, a node each' : 'Keep together on one node';
}

export function nodeWords(nodes) {
  return Object.entries(nodes ?? {}).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0], 'en', { numeric: true })).map(([n, p]) => p ? `${n} (priority ${p})` : n);
}

export function conflictList(conflicts) {
  return (conflicts ?? []).map((c) => h('div', { class: 'why' }, h('strong', {}, c.message), h('span', {}, c.explain), (c.with ?? []).length ? h('span', {}, 'Rules that share its resources: ' + c.with.join(', ')) : null));
}

function ruleCard(r, app) {
  const bad = (r.conflicts ?? []).length > 0;
  const state = r.disabled ? pill('', 'pause', 'disabled') : bad ? pill('bad', 'warn', 'not applied') : pill('ok', 'check', 'applied');
  return h('article', { class: 'rule' + (bad ? ' conflict' : '') + (r.disabled ? ' disabled' : ''), 'aria-label': 'Rule ' + r.id },
    h('header', {}, h('h3', {}, r.id), state),
    h('p', {}, sentence(r)),
    h('div', { class: 'chips' }, r.resources.map((sid) => h('span', { class: 'chip' }, sid)), r.nodes ? [icon('arrow', 'on'), nodeWords(r.nodes).map((n) => h('span', { class: 'chip' }, n))] : null),
    r.comment ? h('p', { class: 'count' }, r.comment) : null,
    conflictList(r.conflicts),
    h('div', { class: 'row' },
      h('button', { type: 'button', disabled: app.past, onclick: () => ruleForm(app, r) }, 'Edit'),
      h('button', { type: 'button', disabled: app.past, onclick: () => run(command(`rule set ${r.id} disable=${r.disabled ? '' : '1'}`)) }, r.disabled ? 'Enable' : 'Disable'),
      h('button', { type: 'button', disabled: app.past, onclick: () => run(command('rule delete ' + r.id)) }, 'Delete')));
}

function groupCard(g, app) {
  return h('article', { class: 'rule', 'aria-label': 'Group ' + g.id },
    h('header', {}, h('h3', {}, g.id), pill('', 'pin', 'group')),
    h('div', { class: 'chips' }, g.nodes.map((n) => h('span', { class: 'chip' }, n))),
    h('p', { class: 'count' }, [g.restricted ? 'only these nodes' : 'prefers these nodes', g.nofailback ? 'no failback' : null].filter(Boolean).join(', ')),
    h('div', { class: 'row' },
      h('button', { type: 'button', disabled: app.past, onclick: () => groupForm(app, g) }, 'Edit'),
      h('button', { type: 'button', disabled: app.past, onclick: () => run(command('group delete ' + g.id)) }, 'Delete')));
}

export function renderRules(app) {
  const c = app.view.cluster;
  const bad = c.rules.filter((r) => (r.conflicts ?? []).length).length;
  put($('rulecount'), `${c.rules.length}|${bad}`, () => bad ? pill('bad', 'warn', `${bad} of ${c.rules.length}`) : c.rules.length ? pill('', 'check', String(c.rules.length)) : []);
  $('addrule').disabled = $('addgroup').disabled = app.past;
  put($('rules'), JSON.stringify([c.rules, c.groups, c.problems, app.past]), () => [
    ...c.problems.map((p) => h('p', { class: 'rule conflict' }, p)),
    ...c.rules.map((r) => ruleCard(r, app)),
    ...c.groups.map((g) => groupCard(g, app)),
    ...(c.rules.length + c.groups.length ? [] : [h('p', { class: 'empty' }, 'No rules yet. A rule keeps guests together, apart, or on certain nodes; its conflicts show before you save it.')]),
  ]);
}

function choice(app, label, hint, key, value, options) {
  const id = 'set-' + key;
  const select = h('select', { id, disabled: app.past, onchange: () => run(command(`datacenter set ${key}=${select.value}`)) }, options.map(([v, t]) => h('option', { value: v, selected: v === String(value) }, t)));
  return h('div', { class: 'setting' }, h('div', { class: 'row' }, h('label', { htmlFor: id }, label), select), hint ? h('small', {}, hint) : null);
}

function figure(app, label, hint, key, value, step) {
  const id = 'set-' + key;
  const input = h('input', { type: 'number', id, min: 0, step, value, disabled: app.past, onchange: () => run(command(`datacenter set ${key}=${input.value}`)) });
  return h('div', { class: 'setting' }, h('div', { class: 'row' }, h('label', { htmlFor: id }, label), input), hint ? h('small', {}, hint) : null);
}

const onOff = [['0', 'off'], ['1', 'on']];

export function renderSettings(app) {
  const c = app.view.cluster, s = c.settings, auto = s.scheduling.AutoRebalance;
  const focus = document.activeElement?.id;
  const changed = put($('settings'), JSON.stringify([s, c.disarm, app.past]), () => [
    h('div', { class: 'setting' },
      h('div', { class: 'row' }, h('strong', {}, 'HA stack'), c.disarm.mode ? pill('warn', 'pause', `${c.disarm.state} (${c.disarm.mode})`) : pill('ok', 'check', 'armed')),
      h('small', {}, 'Disarmed, no watchdog is open and nothing is fenced or recovered. Freeze leaves the guests untouched; ignore lets you handle them yourself.'),
      h('div', { class: 'row' }, c.disarm.mode
        ? h('button', { type: 'button', class: 'primary', id: 'arm', disabled: app.past, onclick: () => run(command(`crm ${app.firstNode()} arm-ha`)) }, 'Arm')
        : ['freeze', 'ignore'].map((m) => h('button', { type: 'button', id: 'disarm-' + m, disabled: app.past, onclick: () => run(command(`crm ${app.firstNode()} disarm-ha ${m}`)) }, `Disarm (${m})`)))),
    choice(app, 'Scheduler', 'By what the best node is chosen: number of guests, what they may use, or what they do use.', 'ha', s.scheduling.Mode, [['basic', 'basic'], ['static', 'static'], ['dynamic', 'dynamic']]),
    choice(app, 'Rebalance on start', 'A guest that starts goes to the best node first.', 'ha-rebalance-on-start', s.scheduling.RebalanceOnStart ? 1 : 0, onOff),
    choice(app, 'Automatic rebalancing', 'Running guests move when the nodes are loaded unevenly; not with the basic scheduler.', 'ha-auto-rebalance', auto.Enabled ? 1 : 0, onOff),
    figure(app, 'Threshold', 'Imbalance to exceed before anything moves.', 'ha-auto-rebalance-threshold', auto.Threshold, 0.05),
    figure(app, 'Hold duration', 'Rounds in a row in which it must be exceeded.', 'ha-auto-rebalance-hold-duration', auto.Hold, 1),
    figure(app, 'Margin', 'Least improvement worth a migration.', 'ha-auto-rebalance-margin', auto.Margin, 0.05),
    choice(app, 'Method', 'How migrations are compared.', 'ha-auto-rebalance-method', auto.Method, [['bruteforce', 'bruteforce'], ['topsis', 'topsis']]),
    choice(app, 'Shutdown policy', 'What happens to the guests of a node that shuts down.', 'shutdown_policy', s.shutdownPolicy, ['conditional', 'freeze', 'failover', 'migrate'].map((v) => [v, v])),
    figure(app, 'Workers per node', 'Orders an LRM carries out at once; 0: each within its round.', 'max_workers', s.maxWorkers, 1),
  ]);
  if (changed && focus && $(focus)) $(focus).focus();
}
