// The plots of the right side: each draws itself anew for a selection.
import * as Plot from "@observablehq/plot";
import { drawCurves, MOST_CURVES } from "./curves.js";
import { describeSelected, drawDistribution } from "./distribution.js";
import { chooser, colours, el } from "./dom.js";
import { Scatter } from "./scatter.js";
import { FINAL } from "./source.js";
import { labelOf } from "./table.js";

const ACCURACY = `${FINAL}test_accuracy`;
const SPARSITY = `${FINAL}sparsity_ratio`;
const MOST_DOTS = 3000;
const AT_ONCE = 6;
const PATIENCE_MS = 500;

/** A titled section with choices, a plot and a note. */
export class View {
  constructor(id, title) {
    this.choices = el("div", { className: "choices" });
    this.plot = el("div", { className: "plot" });
    this.note = el("p", { className: "note" });
    this.section = el("section", { id }, el("h2", {}, title), this.choices, this.plot, this.note);
  }

  get width() {
    return Math.max(260, this.plot.clientWidth || 560);
  }
}

function columnOptions(columns) {
  const group = (label, isMetric) => {
    const members = columns.filter((column) => column.isMetric === isMetric);
    return members.length ? [{ label, options: members.map((column) => [column.name, column.label]) }] : [];
  };
  return [...group("hyper-parameters", false), ...group("metrics of the last epoch", true)];
}

export class DistributionView extends View {
  constructor(app) {
    super("distribution", "Distribution");
    this.app = app;
    this.column = null;
    this.by = "";
  }

  offer(columns) {
    const groups = columns.filter((column) => column.isCategory && column.categories.length <= 8);
    this.choices.replaceChildren(
      chooser("of ", columnOptions(columns), this.column?.name, (name) => this.choose(name, this.by)),
      chooser("by ", [["", "nothing"], ...columnOptions(groups)], this.by, (name) => this.choose(this.column.name, name)),
    );
  }

  choose(name, by) {
    this.column = this.app.table.columns.get(name);
    this.by = by;
    this.draw();
  }

  draw() {
    if (!this.column) return;
    const by = this.app.table.columns.get(this.by) ?? null;
    this.plot.replaceChildren(drawDistribution(this.column, this.app.selection, by, this.width));
    this.note.textContent = describeSelected(this.column, this.app.selection);
  }
}

export class ScatterView extends View {
  constructor(app) {
    super("scatter", "Any two columns");
    this.app = app;
    this.chosen = { x: "", y: "", colour: "" };
    this.scatter = new Scatter(this.plot, (row) => app.look(row), (row) => app.describe(row));
    this.note.textContent = "A click on a point looks at that member.";
  }

  offer(columns) {
    const ranges = columns.filter((column) => !column.isCategory);
    const y = columns.find((column) => column.name === ACCURACY) ?? ranges[0] ?? columns[0];
    const wanted = [...ranges, ...columns].filter((column) => !column.isMetric && column.name !== "seed");
    const x = wanted.find((column) => column.name === "lr") ?? wanted[0] ?? columns[0];
    const colour = columns.find((column) => column.isCategory && column !== x && column.categories.length <= 8);
    this.chosen = { x: x?.name, y: y?.name, colour: colour?.name ?? "" };
    const pick = (part, options) => chooser(`${part} `, options, this.chosen[part], (name) => {
      this.chosen[part] = name;
      this.draw();
    });
    const options = columnOptions(columns);
    this.choices.replaceChildren(pick("x", options), pick("y", options), pick("colour", [["", "none"], ...options]));
  }

  draw() {
    const { table, selection, row } = this.app;
    const [x, y, colour] = ["x", "y", "colour"].map((part) => table.columns.get(this.chosen[part]) ?? null);
    if (x && y) this.scatter.draw({ x, y, colour, mask: selection.mask, marked: row, width: this.width });
  }
}

export class CurvesView extends View {
  constructor(app) {
    super("curves", "Training curves");
    this.app = app;
    this.metric = "";
    this.cache = new Map();
    this.turn = 0;
  }

  offer() {
    const names = this.app.table.metricNames.map((name) => name.slice(FINAL.length));
    this.metric = names.includes("test_accuracy") ? "test_accuracy" : names[0];
    this.choices.replaceChildren(
      chooser("of ", names.map((name) => [name, labelOf(name)]), this.metric, (name) => {
        this.metric = name;
        this.draw();
      }),
    );
  }

  async draw() {
    if (!this.metric) return;
    const { app, metric } = this;
    const turn = ++this.turn;
    const rows = app.selection.sample(MOST_CURVES);
    const wanted = app.row === null ? rows : [...new Set([...rows, app.row])];
    const curves = [];
    const show = () => {
      const marked = curves.find(({ row }) => row === app.row);
      const sampled = curves.filter(({ row }) => rows.includes(row));
      this.plot.replaceChildren(drawCurves(metric, sampled, marked, this.width));
    };
    let shown = performance.now();
    for (let at = 0; at < wanted.length; at += AT_ONCE) {
      curves.push(...(await Promise.all(wanted.slice(at, at + AT_ONCE).map((row) => this.read(row, metric)))));
      if (turn !== this.turn) return;
      if (performance.now() - shown > PATIENCE_MS) {
        show();
        shown = performance.now();
      }
    }
    show();
    const count = app.selection.count.toLocaleString("en");
    this.note.textContent = !rows.length
      ? "No member is selected."
      : rows.length < app.selection.count
        ? `${rows.length} of the ${count} selected members, evenly spread over the table; their median and middle half.`
        : "All selected members; their median and middle half.";
    if (app.row !== null) this.note.textContent += ` Marked: member ${app.nameOf(app.row)}.`;
  }

  async read(row, metric) {
    const key = `${row}/${metric}`;
    if (!this.cache.has(key)) {
      const values = await this.app.source.curve(row, metric);
      this.cache.set(key, { row, epoch: this.app.source.checkpoints, values });
    }
    return this.cache.get(key);
  }
}

export class EmbeddingView extends View {
  constructor(app, table) {
    super("embedding", "Embedding map");
    this.app = app;
    Object.assign(this, table);
    this.chosen = { x: this.axes[0], y: this.axes[1] ?? this.axes[0], colour: ACCURACY };
    this.scatter = new Scatter(this.plot, (row) => app.look(row), (row) => app.describe(row));
  }

  offer(columns) {
    const names = this.axes.map((axis) => [axis.name, axis.label]);
    const axis = (part) => chooser(`${part} `, names, this.chosen[part].name, (name) => {
      this.chosen[part] = this.axes.find((one) => one.name === name);
      this.draw();
    });
    const colour = chooser("colour ", [["", "none"], ...columnOptions(columns)], this.chosen.colour, (name) => {
      this.chosen.colour = name;
      this.draw();
    });
    this.choices.replaceChildren(axis("x"), axis("y"), colour);
  }

  draw() {
    const { x, y, colour } = this.chosen;
    const { table, selection, row } = this.app;
    this.scatter.draw({ x, y, colour: table.columns.get(colour) ?? null, mask: selection.mask, marked: row, rows: this.rows, width: this.width });
    this.note.textContent = `${this.rows.length.toLocaleString("en")} states at epoch ${this.epochs}, placed by their embedding.`;
  }
}

export class SparsityView extends View {
  static fits(table) {
    return table.names.includes(SPARSITY) && table.names.includes(ACCURACY);
  }

  constructor(app) {
    super("sparsity", "Accuracy against sparsity");
    this.app = app;
    this.note.textContent = "Sparsity and test accuracy at the last epoch; the line is the median of members of like sparsity.";
  }

  offer() {}

  draw() {
    const { table, selection, row } = this.app;
    const { ink, accent, ghost, mark } = colours();
    const [x, y] = [SPARSITY, ACCURACY].map((name) => table.columns.get(name));
    const rows = selection.sample(MOST_DOTS);
    const points = rows.map((one) => ({ x: x.numbers[one], y: y.numbers[one] }));
    const own = row === null ? [] : [{ x: x.numbers[row], y: y.numbers[row] }];
    this.plot.replaceChildren(
      Plot.plot({
        width: this.width,
        height: 280,
        marginLeft: 52,
        style: { background: "none", color: ink },
        ariaLabel: "Accuracy against sparsity",
        x: { label: "sparsity: share of weights that are zero", labelAnchor: "center", labelArrow: "none" },
        y: { label: "test accuracy", grid: true, labelArrow: "none" },
        marks: [
          Plot.dot(points, { x: "x", y: "y", r: 1.5, fill: ghost }),
          Plot.lineY(points, Plot.binX({ y: "median" }, { x: "x", y: "y", thresholds: 20, stroke: accent, strokeWidth: 2.5 })),
          Plot.dot(own, { x: "x", y: "y", r: 5, fill: mark }),
        ],
      }),
    );
  }
}
