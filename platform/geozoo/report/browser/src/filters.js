// The left side: a filter for every column that tells members apart.
import { colours, el } from "./dom.js";
import { FINAL } from "./source.js";
import { formatNumber } from "./table.js";

const STEPS = 1000;
const OPEN_METRICS = new Set([`${FINAL}test_accuracy`]);

/** The filters of a table; `onChange` is called after every change of the selection. */
export class Filters {
  constructor(host, selection, onChange) {
    this.host = host;
    this.selection = selection;
    this.onChange = onChange;
    this.shown = [];
  }

  /** Show a filter for each of these columns. */
  show(columns) {
    const makers = { true: CategoryFilter, false: RangeFilter };
    this.shown = columns.map((column) => new makers[column.isCategory](column, this));
    const group = (title, isMetric) => {
      const filters = this.shown.filter(({ column }) => column.isMetric === isMetric);
      if (!filters.length) return [];
      return [el("h2", {}, title), ...filters.map((filter) => filter.fold())];
    };
    this.host.replaceChildren(...group("Hyper-parameters", false), ...group("Metrics of the last epoch", true));
    this.refresh();
  }

  set(column, condition) {
    this.selection.set(column, condition);
    this.refresh();
    this.onChange();
  }

  /** Show the conditions and counts as they are. */
  refresh() {
    for (const filter of this.shown) if (filter.folded.open) filter.refresh();
  }
}

class Filter {
  constructor(column, filters) {
    this.column = column;
    this.filters = filters;
  }

  get condition() {
    return this.filters.selection.conditions.get(this.column);
  }

  fold() {
    const { column } = this;
    this.summary = el("span", { className: "condition" });
    this.folded = el(
      "details",
      { className: "filter", open: !column.isMetric || OPEN_METRICS.has(column.name), ontoggle: () => this.refresh() },
      el("summary", {}, el("span", {}, column.label), this.summary),
      this.body(),
    );
    this.folded.dataset.column = column.name;
    return this.folded;
  }
}

class CategoryFilter extends Filter {
  body() {
    this.boxes = this.column.categories.map((category, code) => {
      const box = el("input", { type: "checkbox", checked: true, value: category, onchange: () => this.choose() });
      const count = el("span", { className: "count" });
      const bar = el("span", { className: "bar" });
      return { box, count, bar, code, row: el("label", { className: "category" }, box, el("span", { className: "name" }, bar, this.column.nameOf(code)), count) };
    });
    return el("div", { role: "group", "aria-label": this.column.label }, this.boxes.map(({ row }) => row));
  }

  choose() {
    const chosen = new Set(this.boxes.filter(({ box }) => box.checked).map(({ code }) => code));
    this.filters.set(this.column, chosen.size === this.boxes.length ? null : chosen);
  }

  refresh() {
    const counts = this.filters.selection.counts(this.column);
    const most = Math.max(1, ...counts);
    const { condition } = this;
    for (const { box, count, bar, code } of this.boxes) {
      box.checked = !condition || condition.has(code);
      count.textContent = counts[code].toLocaleString("en");
      bar.style.width = `${(100 * counts[code]) / most}%`;
    }
    this.summary.textContent = condition ? `${condition.size} of ${this.boxes.length}` : "";
  }
}

class RangeFilter extends Filter {
  body() {
    const slider = (end, value) =>
      el("input", {
        type: "range", min: 0, max: STEPS, value, "aria-label": `${this.column.label}, ${end}`, className: end,
        oninput: () => this.slide(end),
      });
    this.low = slider("lowest", 0);
    this.high = slider("highest", STEPS);
    this.canvas = el("canvas", { width: 240, height: 40, "aria-hidden": "true" });
    this.ends = el("div", { className: "ends" }, el("span"), el("span"));
    return el("div", { className: "range" }, this.canvas, this.low, this.high, this.ends);
  }

  slide(moved) {
    let [low, high] = [Number(this.low.value), Number(this.high.value)];
    if (low > high) [low, high] = moved === "lowest" ? [high, high] : [low, low];
    const { column } = this;
    const ends = [low === 0 ? -Infinity : column.valueAt(low / STEPS), high === STEPS ? Infinity : column.valueAt(high / STEPS)];
    this.filters.set(column, low === 0 && high === STEPS ? null : ends);
  }

  refresh() {
    const { column, condition } = this;
    const [first, last] = column.extent;
    const [low, high] = [Math.max(condition?.[0] ?? first, first), Math.min(condition?.[1] ?? last, last)];
    this.low.value = Math.round(column.place(low) * STEPS);
    this.high.value = Math.round(column.place(high) * STEPS);
    const texts = [formatNumber(low), formatNumber(high)];
    this.low.setAttribute("aria-valuetext", texts[0]);
    this.high.setAttribute("aria-valuetext", texts[1]);
    this.ends.firstChild.textContent = texts[0];
    this.ends.lastChild.textContent = texts[1];
    this.summary.textContent = condition ? `${texts[0]} to ${texts[1]}` : "";
    this.draw(column.place(low), column.place(high));
  }

  draw(low, high) {
    const counts = this.filters.selection.counts(this.column);
    const most = Math.max(1, ...counts);
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d", { willReadFrequently: true });
    const { accent, ghost } = colours();
    pen.clearRect(0, 0, width, height);
    counts.forEach((count, bin) => {
      const middle = (bin + 0.5) / counts.length;
      pen.fillStyle = middle >= low && middle <= high ? accent : ghost;
      const tall = count ? Math.max(1, (count / most) * (height - 2)) : 0;
      pen.fillRect((bin * width) / counts.length, height - tall, width / counts.length - 1, tall);
    });
  }
}
