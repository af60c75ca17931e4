// DOM helpers. Data is always inserted as text, never as HTML; the Content-Security-Policy enforces this.

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

export const on = (target, type, act) => (typeof target === "string" ? $(target) : target).addEventListener(type, act);
export const put = (selector, text) => ($(selector).textContent = text);

/** Create an element: h("a.button", { href }, "text", element …). Null children are skipped. */
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** Clone the first element of a template. */
export const copy = (id) => $(`#${id}`).content.firstElementChild.cloneNode(true);

/** Wait `ms` milliseconds; an aborted signal rejects with AbortError. */
export const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** Return a function that calls `act` after `ms` milliseconds without another call. */
export function debounce(ms, act) {
  let timer;
  return () => (clearTimeout(timer), (timer = setTimeout(act, ms)));
}
