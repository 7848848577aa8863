// The members as columns, and what kind of column each is.
import { FINAL, METRICS_ROW } from "./source.js";

const FEW = 12;
const HIDDEN = new Set(["member", "cohort", "position", "plan", "committed", METRICS_ROW]);

/** A column of the member table: a category with codes into its values (at most `few` numbers), or a range. */
export class Column {
  constructor(name, values, few = name.startsWith(FINAL) ? 1 : FEW) {
    this.name = name;
    this.isMetric = name.startsWith(FINAL);
    this.label = labelOf(name);
    const numeric = values instanceof Float64Array;
    const distinct = numeric ? distinctNumbers(values, few) : distinctTexts(values);
    this.numbers = numeric ? values : null;
    this.isCategory = distinct !== null;
    if (distinct) this.code(values, distinct);
    else this.measure();
  }

  code(values, distinct) {
    this.categories = distinct.map(String);
    const codeOf = new Map(distinct.map((value, index) => [value, index]));
    this.codes = Uint16Array.from(values, (value) => codeOf.get(value) ?? 0);
  }

  measure() {
    let lowest = Infinity;
    let highest = -Infinity;
    let positive = Infinity;
    for (const value of this.numbers) {
      if (value < lowest) lowest = value;
      if (value > highest && value !== Infinity) highest = value;
      if (value > 0 && value < positive) positive = value;
    }
    this.extent = lowest <= highest ? [lowest, highest] : [0, 1];
    this.isLog = this.name !== "seed" && lowest > 0 && highest / positive > 30;
  }

  /** Whether all members are alike in it. */
  get isConstant() {
    return this.isCategory ? this.categories.length < 2 : !(this.extent[0] < this.extent[1]);
  }

  /** Place of a value between 0 and 1 along the extent, on the column's own scale. */
  place(value) {
    const [low, high] = this.extent.map((end) => (this.isLog ? Math.log(end) : end));
    return ((this.isLog ? Math.log(value) : value) - low) / (high - low || 1);
  }

  /** The value at a place between 0 and 1. */
  valueAt(place) {
    const [low, high] = this.extent.map((end) => (this.isLog ? Math.log(end) : end));
    const value = low + place * (high - low);
    return this.isLog ? Math.exp(value) : value;
  }

  /** The value of one member, as text. */
  text(row) {
    return this.isCategory ? this.nameOf(this.codes[row]) : formatNumber(this.numbers[row]);
  }

  /** A category, as text. */
  nameOf(code) {
    const category = this.categories[code];
    if (category === "" || category === "NaN") return "none";
    return this.numbers ? formatNumber(Number(category)) : category;
  }

  /** The value of one member, as a number; categories by their place. */
  number(row) {
    return this.numbers ? this.numbers[row] : this.codes[row];
  }
}

/** The member table: ids and columns, some of which may still be on their way. */
export class Table {
  constructor(file) {
    this.file = file;
    this.length = file.numRows;
    this.columns = new Map();
    this.pending = new Map();
  }

  get names() {
    return this.file.columns.filter((name) => !HIDDEN.has(name));
  }

  get metricNames() {
    return this.names.filter((name) => name.startsWith(FINAL));
  }

  /** Read a column, once. */
  load(name) {
    if (!this.pending.has(name)) {
      this.pending.set(
        name,
        this.file.read(name).then((values) => {
          const column = new Column(name, values);
          this.columns.set(name, column);
          return column;
        }),
      );
    }
    return this.pending.get(name);
  }

  async loadIds() {
    this.ids ??= await this.file.read("member");
    this.rowOf ??= new Map(this.ids.map((id, row) => [id, row]));
    return this.ids;
  }

  /** The columns that tell members apart, hyper-parameters before metrics. */
  get varying() {
    const loaded = this.names.map((name) => this.columns.get(name)).filter((column) => column && !column.isConstant);
    return [...loaded.filter((column) => !column.isMetric), ...loaded.filter((column) => column.isMetric)];
  }

  get constant() {
    return this.names.map((name) => this.columns.get(name)).filter((column) => column?.isConstant);
  }
}

export function labelOf(name) {
  return name.replace(FINAL, "").replaceAll("_", " ");
}

/** A number to four digits, without needless zeros; whole numbers are whole. */
export function formatNumber(value) {
  if (Number.isSafeInteger(value)) return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "none" : String(value);
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(Number(value.toPrecision(4)));
}

function distinctNumbers(values, most) {
  const seen = new Set();
  for (const value of values) {
    seen.add(value);
    if (seen.size > most) return null;
  }
  return [...seen].sort((left, right) => left - right);
}

function distinctTexts(values) {
  return [...new Set(values)].sort();
}
