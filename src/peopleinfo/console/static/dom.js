// Elements. What comes from people is always text: nothing reads it as HTML, and the page's policy forbids it.

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

export const on = (target, kind, act) => (typeof target === "string" ? $(target) : target).addEventListener(kind, act);
export const put = (selector, text) => ($(selector).textContent = text);

/** Make an element: h("a.button", { href }, "text", element …). Absent children are left out. */
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** Copy what the page has as a template. */
export const copy = (id) => $(`#${id}`).content.firstElementChild.cloneNode(true);

/** Wait; ends early, with an AbortError, when the signal says so. */
export const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** Return what calls `act` when it has not been asked for during `ms`. */
export function settled(ms, act) {
  let timer;
  return () => (clearTimeout(timer), (timer = setTimeout(act, ms)));
}
