// How the members are distributed along one column, all of them behind those selected.
import * as Plot from "@observablehq/plot";
import { ticks } from "d3-array";
import { colours, palette } from "./dom.js";
import { binsOf, edgesOf } from "./selection.js";
import { formatNumber } from "./table.js";

const MOST_GROUPS = 8;

/** Draw a column's distribution, split by a category if one is given. */
export function drawDistribution(column, selection, by, width) {
  const { ghost, accent, ink } = colours();
  const groups = by ? by.categories.slice(0, MOST_GROUPS) : [""];
  const names = groups.map((_, code) => (by ? by.nameOf(code) : ""));
  const bars = column.isCategory
    ? (counts) => counts.map((count, code) => ({ category: column.nameOf(code), ...count }))
    : (counts) => {
        const edges = edgesOf(column);
        return counts.map((count, bin) => ({ low: edges[bin], high: edges[bin + 1], ...count }));
      };
  const rows = groups.flatMap((group, code) =>
    bars(countBoth(column, selection, by, code)).map((bar) => ({ ...bar, group: names[code] })),
  );
  const scale = column.isCategory
    ? { type: "band", label: null }
    : { type: column.isLog ? "log" : "linear", label: column.label, tickFormat: column.isLog ? formatNumber : undefined, ticks: column.isLog ? 5 : undefined };
  const mark = (value, fill) =>
    column.isCategory
      ? Plot.barY(rows, { x: "category", y: value, fy: "group", fill, tip: false })
      : Plot.rectY(rows, { x1: "low", x2: "high", y: value, fy: "group", fill, inset: 0.5 });
  return Plot.plot({
    width,
    height: by ? 70 * groups.length + 60 : 300,
    marginLeft: 52,
    marginRight: by ? 110 : 12,
    style: { background: "none", color: ink },
    ariaLabel: `Distribution of ${column.label}`,
    x: { ...scale, labelAnchor: "center", labelArrow: "none" },
    y: { label: by ? null : "members", grid: true, ticks: wholeTicks(rows, by ? 2 : 5), labelArrow: "none", tickFormat: "~s" },
    fy: { label: null, domain: by ? names : undefined, axis: by ? "right" : null },
    color: by ? { type: "categorical", domain: names, range: palette() } : undefined,
    marks: [
      mark("all", ghost),
      mark("selected", by ? "group" : accent),
      Plot.ruleY([0], { stroke: ink }),
    ],
  });
}

/** About so many ticks along the counts of members, which are whole. */
function wholeTicks(rows, count) {
  const most = rows.reduce((highest, { all }) => Math.max(highest, all), 0);
  return ticks(0, most, count).filter(Number.isInteger);
}

function countBoth(column, selection, by, group) {
  const bins = binsOf(column);
  const size = column.isCategory ? column.categories.length : edgesOf(column).length - 1;
  const counts = Array.from({ length: size }, () => ({ all: 0, selected: 0 }));
  for (let row = 0; row < bins.length; row++) {
    if (bins[row] >= size || (by && by.codes[row] !== group)) continue;
    counts[bins[row]].all++;
    counts[bins[row]].selected += selection.mask[row];
  }
  return counts;
}

/** Quartiles and extremes of the selected members in one sentence. */
export function describeSelected(column, selection) {
  if (column.isCategory) return "";
  const values = [];
  for (let row = 0; row < selection.mask.length; row++) {
    if (selection.mask[row] && Number.isFinite(column.numbers[row])) values.push(column.numbers[row]);
  }
  if (!values.length) return "No selected member has a value.";
  const sorted = Float64Array.from(values).sort();
  const at = (share) => formatNumber(sorted[Math.round(share * (sorted.length - 1))]);
  return `Selected: median ${at(0.5)}, middle half ${at(0.25)} to ${at(0.75)}, lowest ${at(0)}, highest ${at(1)}.`;
}
