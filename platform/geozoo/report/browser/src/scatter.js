// Members as points on two axes, coloured by a third column; a click looks at the nearest member.
import * as Plot from "@observablehq/plot";
import { colours, el, isDark, keysOf, palette } from "./dom.js";
import { Points } from "./points.js";
import { formatNumber } from "./table.js";

const MARGIN = { left: 56, right: 14, top: 12, bottom: 40 };
const INSET = 8;
const REACH = 12;
const [OPAQUE, CLEAR, FAINT] = [255, 190, 90];
const DIAMETERS = [3, 7];
const JITTER = 0.1;

/** A scatter plot below `host`; `onPick` is called with the row of a clicked member, `describe` names one under the pointer. */
export class Scatter {
  constructor(host, onPick, describe) {
    this.axes = el("div", { className: "axes" });
    this.canvas = el("canvas", { className: "points", role: "img", "aria-label": "Scatter plot of members" });
    this.tip = el("div", { className: "tip", hidden: true });
    this.legend = el("div", { className: "legend" });
    this.frame = el("div", { className: "scatter" }, this.axes, this.canvas, this.tip);
    host.append(this.frame, this.legend);
    this.points = new Points(this.canvas);
    this.describe = describe;
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.canvas.addEventListener("click", (event) => {
      const row = this.nearest(event);
      if (row !== null) onPick(row);
    });
  }

  /** Draw rows by `x` and `y` (columns), `colour` (a column or null); `mask` tells the selected, `marked` is a row or null. */
  draw({ x, y, colour, mask, marked, rows, width, height = 340 }) {
    this.frame.style.height = `${height}px`;
    this.axes.replaceChildren(drawAxes(x, y, width, height));
    Object.assign(this.canvas.style, {
      left: `${MARGIN.left}px`,
      top: `${MARGIN.top}px`,
      width: `${width - MARGIN.left - MARGIN.right}px`,
      height: `${height - MARGIN.top - MARGIN.bottom}px`,
    });
    this.rows = rows;
    this.place(x, y, mask, marked, rows);
    this.points.draw(this.places, tintsOf(colour, this.drawn, mask, marked, rows), diameterOf(this.drawn.length));
    this.legend.replaceChildren(...legendOf(colour));
  }

  /** Order the points, selected ones on top and the marked one last, and compute their places. */
  place(x, y, mask, marked, rows) {
    const count = rows ? rows.length : mask.length;
    const rowOf = (point) => (rows ? rows[point] : point);
    this.drawn = new Uint32Array(count);
    let filled = 0;
    for (const layer of [0, 1]) for (let point = 0; point < count; point++) if (mask[rowOf(point)] === layer) this.drawn[filled++] = point;
    const at = marked === null ? -1 : this.drawn.findIndex((point) => rowOf(point) === marked);
    if (at >= 0) {
      this.drawn.copyWithin(at, at + 1);
      this.drawn[count - 1] = rows ? rows.indexOf(marked) : marked;
    }
    const [across, up] = [this.canvas.clientWidth, this.canvas.clientHeight].map((length) => INSET / length);
    const [lefts, heights] = [placesAlong(x, across), placesAlong(y, up)];
    this.places = new Float32Array(2 * count);
    for (let index = 0; index < count; index++) {
      this.places[2 * index] = lefts[this.drawn[index]];
      this.places[2 * index + 1] = heights[this.drawn[index]];
    }
    this.mask = mask;
  }

  rowAt(index) {
    const point = this.drawn[index];
    return this.rows ? this.rows[point] : point;
  }

  nearest(event) {
    const { width, height } = this.canvas.getBoundingClientRect();
    let best = REACH ** 2;
    let found = null;
    for (let index = 0; index < this.drawn.length; index++) {
      const across = this.places[2 * index] * width - event.offsetX;
      const down = (1 - this.places[2 * index + 1]) * height - event.offsetY;
      const distance = across * across + down * down;
      if (distance <= best && this.mask[this.rowAt(index)]) [best, found] = [distance, this.rowAt(index)];
    }
    return found;
  }

  hover(event) {
    const row = this.nearest(event);
    this.tip.hidden = row === null;
    this.canvas.style.cursor = row === null ? "default" : "pointer";
    if (row === null) return;
    this.tip.textContent = this.describe(row);
    const left = event.offsetX + MARGIN.left;
    this.tip.style.left = `${Math.min(left + 12, this.frame.clientWidth - 180)}px`;
    this.tip.style.top = `${event.offsetY + MARGIN.top + 14}px`;
  }
}

/** Places of all points along a column, with `inset` kept free at both ends; categories in bands, moved by a hash by at most `JITTER` of a band. */
function placesAlong(column, inset) {
  if (column.along?.inset === inset) return column.along.places;
  const places = column.isCategory
    ? Float32Array.from(column.codes, (code, point) => (code + 0.5 + 2 * JITTER * spreadOf(point)) / column.categories.length)
    : Float32Array.from(column.numbers, (number) => {
        const place = column.place(number);
        return Number.isFinite(place) ? inset + place * (1 - 2 * inset) : -1;
      });
  column.along = { inset, places };
  return places;
}

const spreadOf = (point) => ((point * 2654435761) % 4096) / 4096 - 0.5;

/** Points are smaller where there are more of them. */
function diameterOf(count) {
  return Math.min(DIAMETERS[1], Math.max(DIAMETERS[0], 150 / Math.sqrt(count)));
}

function drawAxes(x, y, width, height) {
  const axis = (column, ticks) =>
    column.isCategory
      ? { type: "band", padding: 0, domain: column.categories.map((_, code) => column.nameOf(code)), label: `${column.label} (jittered)` }
      : { type: column.isLog ? "log" : "linear", domain: column.extent, label: column.label, grid: true, ticks, inset: INSET, tickFormat: column.isLog ? formatNumber : undefined };
  return Plot.plot({
    width,
    height,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    style: { background: "none", color: colours().ink },
    x: { ...axis(x, 6), labelAnchor: "center", labelArrow: "none" },
    y: { ...axis(y, 6), labelAnchor: "center", labelArrow: "none" },
    marks: [Plot.frame({ stroke: colours().line })],
  });
}

/** High values stand out: yellow on dark, purple on light. */
const shadeScale = (column) => ({ type: column.isLog ? "log" : "linear", domain: column.extent, scheme: "viridis", reverse: !isDark() });

function tintsOf(colour, drawn, mask, marked, rows) {
  const { ghost, accent, mark } = colours();
  const [quiet, plain, eye] = [ghost, accent, mark].map(bytesOf);
  const shades = colour && shadesOf(colour);
  const tints = new Uint8Array(4 * drawn.length);
  for (let index = 0; index < drawn.length; index++) {
    const row = rows ? rows[drawn[index]] : drawn[index];
    const shade = row === marked ? eye : !mask[row] ? quiet : shades ? shades(row) : plain;
    for (let channel = 0; channel < 3; channel++) tints[4 * index + channel] = shade[channel];
    tints[4 * index + 3] = row === marked ? OPAQUE : mask[row] ? CLEAR : FAINT;
  }
  return tints;
}

function shadesOf(column) {
  if (column.isCategory) {
    const bytes = palette().map(bytesOf);
    return (row) => bytes[column.codes[row] % bytes.length];
  }
  const scale = Plot.scale({ color: shadeScale(column) });
  const bytes = Array.from({ length: 64 }, (_, step) => bytesOf(scale.apply(column.valueAt(step / 63))));
  return (row) => bytes[Math.round(63 * Math.min(1, Math.max(0, column.place(column.numbers[row]))))] ?? bytes[0];
}

const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function bytesOf(colour) {
  brush.clearRect(0, 0, 1, 1);
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}

function legendOf(column) {
  if (!column) return [];
  const style = { background: "none", color: colours().ink };
  if (column.isCategory) {
    return keysOf(column.categories.map((_, code) => column.nameOf(code)));
  }
  const color = { ...shadeScale(column), label: column.label, tickFormat: column.isLog ? formatNumber : undefined };
  return [Plot.legend({ color, width: 260, style, ticks: 4 })];
}
