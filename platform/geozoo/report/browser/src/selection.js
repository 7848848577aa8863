// Which members are selected: one condition a column, all of which hold.

const BINS = 40;

/** Conditions on columns, and the members that meet them. */
export class Selection {
  constructor(table) {
    this.table = table;
    this.conditions = new Map();
    this.mask = new Uint8Array(table.length).fill(1);
    this.count = table.length;
    this.failures = new Uint8Array(table.length);
  }

  /** Allow some categories only (a Set of codes), a range only (`[low, high]`), or anything (null). */
  set(column, condition) {
    if (condition === null) this.conditions.delete(column);
    else this.conditions.set(column, condition);
    this.update();
  }

  clear() {
    this.conditions.clear();
    this.update();
  }

  update() {
    const { failures, mask } = this;
    failures.fill(0);
    for (const [column, condition] of this.conditions) {
      if (condition instanceof Set) {
        for (let row = 0; row < failures.length; row++) if (!condition.has(column.codes[row])) failures[row]++;
      } else {
        const [low, high] = condition;
        const { numbers } = column;
        for (let row = 0; row < failures.length; row++) if (!(numbers[row] >= low && numbers[row] <= high)) failures[row]++;
      }
    }
    this.count = 0;
    for (let row = 0; row < mask.length; row++) this.count += mask[row] = failures[row] === 0 ? 1 : 0;
  }

  /** Members by category or bin, counting those that meet every condition but the one on this column. */
  counts(column) {
    const own = this.conditions.get(column);
    const counts = new Uint32Array(column.isCategory ? column.categories.length : BINS);
    const codes = binsOf(column);
    for (let row = 0; row < codes.length; row++) {
      const failed = this.failures[row];
      if (failed > 1 || (failed === 1 && (!own || meets(column, own, row)))) continue;
      if (codes[row] < counts.length) counts[codes[row]]++;
    }
    return counts;
  }

  /** At most `most` selected rows, evenly spread over the table. */
  sample(most) {
    const rows = this.rows();
    if (rows.length <= most) return rows;
    return Array.from({ length: most }, (_, index) => rows[Math.floor(((index + 0.5) * rows.length) / most)]);
  }

  rows() {
    const rows = [];
    for (let row = 0; row < this.mask.length; row++) if (this.mask[row]) rows.push(row);
    return rows;
  }
}

function meets(column, condition, row) {
  if (condition instanceof Set) return condition.has(column.codes[row]);
  return column.numbers[row] >= condition[0] && column.numbers[row] <= condition[1];
}

/** The bin of each member, for a category its code; missing values are in none. */
export function binsOf(column) {
  if (column.isCategory) return column.codes;
  column.bins ??= Uint16Array.from(column.numbers, (value) => {
    const place = column.place(value);
    return place >= 0 && place <= 1 ? Math.min(BINS - 1, Math.floor(place * BINS)) : BINS;
  });
  return column.bins;
}

/** The edges of the bins of a column of numbers. */
export function edgesOf(column) {
  return Array.from({ length: BINS + 1 }, (_, index) => column.valueAt(index / BINS));
}
