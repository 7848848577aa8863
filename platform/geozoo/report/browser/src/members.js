// The selected members as a table, best first, with a way to keep them.
import { el, saveFile } from "./dom.js";
import { FINAL } from "./source.js";
import { View } from "./views.js";

const PAGE = 12;

export class MembersView extends View {
  constructor(app) {
    super("members", "Members");
    this.app = app;
    this.shown = PAGE;
    this.descending = true;
    const more = el("button", { type: "button", onclick: () => this.more() }, "Show more");
    const save = el("button", { type: "button", onclick: () => this.save() }, "Save selection as CSV");
    this.moreButton = more;
    this.section.append(el("div", { className: "actions" }, more, save));
  }

  offer(columns) {
    const metrics = columns.filter((column) => column.isMetric && /test_(accuracy|loss)$|sparsity/.test(column.name));
    this.columns = [...columns.filter((column) => !column.isMetric), ...metrics];
    this.sorted = this.columns.find((column) => column.name === `${FINAL}test_accuracy`) ?? this.columns[0];
  }

  more() {
    this.shown += 2 * PAGE;
    this.draw();
  }

  sortBy(column) {
    this.descending = column === this.sorted ? !this.descending : true;
    this.sorted = column;
    this.draw();
  }

  draw() {
    if (!this.sorted) return;
    const { app } = this;
    const rows = this.first(this.shown);
    const { count } = app.selection;
    const heads = this.columns.map((column) =>
      el(
        "th",
        { scope: "col", className: column.numbers ? "number" : "", "aria-sort": column !== this.sorted ? "none" : this.descending ? "descending" : "ascending" },
        el("button", { type: "button", onclick: () => this.sortBy(column) }, column.label),
      ),
    );
    const lines = rows.map((row) =>
      el(
        "tr",
        { className: row === app.row ? "marked" : "" },
        el("th", { scope: "row" }, el("button", { type: "button", className: "link", onclick: () => app.look(row) }, app.nameOf(row))),
        this.columns.map((column) => el("td", { className: column.numbers ? "number" : "" }, column.text(row))),
      ),
    );
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "member"), heads));
    this.plot.replaceChildren(el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Members" }, el("table", {}, head, el("tbody", {}, lines))));
    this.moreButton.hidden = count <= rows.length;
    this.note.textContent = `${rows.length} of ${count.toLocaleString("en")} selected members.`;
  }

  /** The first selected rows in the order of the table: those shown, found in one pass. */
  first(most) {
    const { mask } = this.app.selection;
    const sign = this.descending ? -1 : 1;
    const best = [];
    for (let row = 0; row < mask.length; row++) {
      if (!mask[row]) continue;
      const value = this.sorted.number(row);
      const key = Number.isNaN(value) ? Infinity : sign * value;
      if (best.length === most && key >= best.at(-1).key) continue;
      let at = best.length;
      while (at > 0 && best[at - 1].key > key) at--;
      best.splice(at, 0, { key, row });
      if (best.length > most) best.pop();
    }
    return best.map(({ row }) => row);
  }

  save() {
    const { app } = this;
    const columns = app.table.names.map((name) => app.table.columns.get(name));
    const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const value = (column, row) => (column.numbers ? String(column.numbers[row]) : quote(column.categories[column.codes[row]]));
    const lines = [["member", ...columns.map((column) => column.name)].join(",")];
    for (const row of app.selection.rows()) lines.push([app.nameOf(row), ...columns.map((column) => value(column, row))].join(","));
    saveFile(`${app.source.header.name}-selection.csv`, [lines.join("\n") + "\n"], "text/csv");
  }
}
