// Elements; texts are only ever set as text.

/** Make an element: properties, `data-` and `aria-` attributes, listeners as `onclick`, children. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "for" || name === "list") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A labelled drop-down list of `[value, text]`, or of `{label, options}` for groups of them. */
export function chooser(label, options, value, onChoose) {
  const select = el("select", { onchange: () => onChoose(select.value) }, optionElements(options));
  select.value = value;
  return el("label", { className: "chooser" }, label, select);
}

function optionElements(options) {
  return options.map((option) =>
    Array.isArray(option)
      ? el("option", { value: option[0] }, option[1])
      : el("optgroup", { label: option.label }, optionElements(option.options)),
  );
}

/** Call a function once things have been quiet for some milliseconds. */
export function debounced(milliseconds, callback) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(callback, milliseconds);
  };
}

/** Save bytes or text as a file of the user's. */
export function saveFile(name, parts, type) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The colours of the page, as its style sheet has them. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "soft", "line", "tint", "page", "accent", "mark", "ghost"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

const ON_LIGHT = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#b8a800"];
const ON_DARK = ["#56b4e9", "#e69f00", "#2cc295", "#e29ac4", "#3f87c7", "#ff8552", "#a9b2ba", "#f0e442"];

/** Colours of categories after Okabe and Ito, told apart with any colour vision. */
export const palette = () => (isDark() ? ON_DARK : ON_LIGHT);

/** What each colour of the palette stands for, as elements. */
export function keysOf(names) {
  return names.map((name, index) => {
    const swatch = el("span", { className: "swatch" });
    swatch.style.background = palette()[index % palette().length];
    return el("span", { className: "key" }, swatch, name);
  });
}
