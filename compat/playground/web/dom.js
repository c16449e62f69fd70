// Elements, requests and messages.

/** h makes an element: properties, "on…" listeners, attributes, children. */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else if (key === 'class') el.className = value;
    else if (key === 'node') el.style.setProperty('--node', value);
    else if (key in el && key !== 'list' && key !== 'form') el[key] = value;
    else el.setAttribute(key, value === true ? '' : value);
  }
  el.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

const svgSpace = 'http://www.w3.org/2000/svg';

export function icon(name, label) {
  const svg = document.createElementNS(svgSpace, 'svg');
  const use = document.createElementNS(svgSpace, 'use');
  use.setAttribute('href', '#i-' + name);
  svg.append(use);
  if (label) { svg.setAttribute('role', 'img'); svg.setAttribute('aria-label', label); } else svg.setAttribute('aria-hidden', 'true');
  return svg;
}

export const pill = (kind, iconName, text) => h('span', { class: 'pill ' + kind }, icon(iconName), h('span', {}, text));

/** put replaces the children of an element when a key of what they show has changed. */
export function put(el, key, make) {
  if (el.dataset.key === key) return false;
  el.dataset.key = key;
  el.replaceChildren(...[make()].flat(Infinity).filter(Boolean));
  return true;
}

export const $ = (id) => document.getElementById(id);

/** post sends a request and returns the answer; what is wrong is shown and thrown. */
export async function post(path, body, quiet) {
  let answer;
  try {
    const response = await fetch('api/' + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    const type = response.headers.get('Content-Type') ?? '';
    answer = type.startsWith('application/json') ? await response.json() : { error: await response.text() };
    if (!response.ok) throw new Error(answer.error || response.statusText);
  } catch (e) {
    if (!quiet) toast(e.message, true);
    throw e;
  }
  return answer;
}

export const get = async (path) => {
  const response = await fetch('api/' + path);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
};

/** command has the cluster do something. */
export function command(...commands) { return post('commands', { commands }); }

/** run is for listeners: what is wrong has been shown already. */
export const run = (promise) => promise.then(() => true, () => false);

export function toast(text, bad) {
  const el = h('div', { class: 'toast' }, icon(bad ? 'warn' : 'check'), h('span', {}, text));
  const host = document.querySelector('dialog[open]') ?? document.body;
  const box = $('toasts');
  if (box.parentElement !== host) host.append(box); // a dialog hides what is outside of it
  box.append(el);
  if (bad) $('alerts').textContent = text;
  setTimeout(() => el.remove(), bad ? 9000 : 4500);
}
