// The page: opens a zoo, shows its first plot at once, and everything else as it comes.
import { parseCondition, readAddress, writeAddress } from "./address.js";
import { chooser, debounced } from "./dom.js";
import { readEmbeddings } from "./embeddings.js";
import { Filters } from "./filters.js";
import { MemberView } from "./member.js";
import { MembersView } from "./members.js";
import { Selection } from "./selection.js";
import { FINAL, listZoos, ZooSource } from "./source.js";
import { formatNumber, Table } from "./table.js";
import { CurvesView, DistributionView, EmbeddingView, ScatterView, SparsityView } from "./views.js";

const SETTLED_MS = 120;
const find = (id) => document.getElementById(id);

/** One zoo on the page. */
class Browser {
  constructor(zoo, source) {
    this.zoo = zoo;
    this.source = source;
    this.table = new Table(source.members);
    this.selection = new Selection(this.table);
    this.row = null;
    this.filters = new Filters(find("filters"), this.selection, () => this.changed());
    this.distribution = new DistributionView(this);
    this.quick = [this.distribution];
    this.slow = [];
    this.drawSlow = debounced(SETTLED_MS, () => this.settle());
    this.closed = false;
  }

  get views() {
    return [...this.quick, ...this.slow];
  }

  /** Show the first plot, then the rest. */
  async start(wanted) {
    this.showTitle();
    find("views").replaceChildren(this.distribution.section);
    const first = this.table.metricNames.find((name) => name === `${FINAL}test_accuracy`) ?? this.table.metricNames[0] ?? this.table.names[0];
    this.distribution.column = await this.table.load(first);
    this.distribution.draw();
    performance.mark("first-plot");
    this.showCount();
    await new Promise((resolve) => setTimeout(resolve, 0));
    await Promise.all([this.table.loadIds(), ...this.table.names.map((name) => this.table.load(name))]);
    if (this.closed) return;
    this.showRest(wanted);
    await this.showEmbeddings();
    performance.mark("all-plots");
    document.documentElement.dataset.ready = "true";
  }

  showRest({ member, conditions }) {
    const { table, selection } = this;
    this.member = new MemberView(this);
    this.scatter = new ScatterView(this);
    this.quick.push(this.scatter);
    this.slow.push(new CurvesView(this), ...(SparsityView.fits(table) ? [new SparsityView(this)] : []), new MembersView(this), this.member);
    this.place();
    const columns = table.varying;
    for (const view of this.views) view.offer(columns);
    for (const [name, text] of conditions) {
      const column = columns.find((one) => one.name === name);
      const condition = column && parseCondition(column, text);
      if (condition) selection.set(column, condition);
    }
    this.filters.show(columns);
    this.changed();
    if (table.rowOf.has(member)) this.look(table.rowOf.get(member));
  }

  async showEmbeddings() {
    if (!this.zoo.embeddings) return;
    const found = await readEmbeddings(this.source, this.table);
    if (this.closed) return;
    const view = new EmbeddingView(this, found);
    this.quick.push(view);
    this.place();
    view.offer(this.table.varying);
    this.changed();
  }

  /** Put the views on the page; plots stand in pairs, and one without a partner is wide. */
  place() {
    const order = ["distribution", "curves", "scatter", "embedding", "sparsity", "members", "member"];
    const sections = this.views.map(({ section }) => section).sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
    find("views").replaceChildren(...sections);
    this.scatter.section.classList.toggle("wide", sections.length % 2 === 1);
  }

  showTitle() {
    const { header, parameters, checkpoints } = this.source;
    document.title = `${header.name}: zoo browser`;
    find("title").textContent = header.recipe?.title || header.name;
    const network = header.recipe?.network?.name ?? "networks";
    const images = header.dataset?.name ? ` on ${header.dataset.name}` : "";
    find("about").textContent =
      `${this.table.length.toLocaleString("en")} members, ${network}${images}, ${parameters.toLocaleString("en")} parameters, ` +
      `${checkpoints.length} checkpoints to epoch ${checkpoints.at(-1)}`;
  }

  showCount() {
    const { selection, table } = this;
    const share = selection.count === table.length ? "all" : selection.count.toLocaleString("en");
    find("count").textContent = `${share} of ${table.length.toLocaleString("en")} members selected`;
    find("clear").hidden = selection.conditions.size === 0;
  }

  /** The selection changed: quick plots follow at once, slow ones when it has settled. */
  changed() {
    this.showCount();
    this.drawSlow();
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      for (const view of this.quick) view.draw();
    });
  }

  settle() {
    if (this.closed) return;
    for (const view of this.slow) this.attempt(view.draw());
    writeAddress(this.zoo.name, this.row === null ? null : this.nameOf(this.row), this.selection);
  }

  /** Look at one member. */
  look(row) {
    this.row = row;
    this.member.show(row);
    this.changed();
    this.member.section.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  clear() {
    this.selection.clear();
    this.filters.refresh();
    this.changed();
  }

  nameOf(row) {
    return this.table.ids[row];
  }

  describe(row) {
    const accuracy = this.table.columns.get(`${FINAL}test_accuracy`);
    return `${this.nameOf(row)}${accuracy?.numbers ? `, test accuracy ${formatNumber(accuracy.numbers[row])}` : ""}`;
  }

  /** Wait for something that may fail, and say so on the page. */
  async attempt(promise) {
    try {
      await promise;
    } catch (error) {
      if (!this.closed) complain(error);
    }
  }
}

let open = null;

function complain(error) {
  find("failure").textContent = error.message || String(error);
  find("failure").hidden = false;
}

async function show(zoos, zoo, wanted) {
  if (open) open.closed = true;
  find("failure").hidden = true;
  find("filters").replaceChildren();
  delete document.documentElement.dataset.ready;
  if (zoos.length > 1) {
    const options = zoos.map(({ name, path }) => [path, name || path]);
    const switchTo = (path) => run(show(zoos, zoos.find((one) => one.path === path), { member: null, conditions: [] }));
    find("zoos").replaceChildren(chooser("Zoo ", options, zoo.path, switchTo));
  }
  const browser = new Browser(zoo, await ZooSource.open(zoo.path));
  open = browser;
  await browser.start(wanted);
}

async function run(promise) {
  try {
    await promise;
  } catch (error) {
    complain(error);
  }
}

const redraw = debounced(SETTLED_MS, () => {
  open?.filters.refresh();
  open?.changed();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width !== width) redraw();
  width = contentRect.width;
}).observe(find("views"));
addEventListener("error", (event) => complain(event.error ?? event));
addEventListener("unhandledrejection", (event) => complain(event.reason));
addEventListener("hashchange", () => location.reload());
find("clear").addEventListener("click", () => open.clear());
find("fold").addEventListener("click", () => {
  const shown = document.body.classList.toggle("with-filters");
  find("fold").setAttribute("aria-expanded", String(shown));
});

run(
  (async () => {
    const zoos = await listZoos();
    const wanted = readAddress();
    await show(zoos, zoos.find(({ name }) => name === wanted.zoo) ?? zoos[0], wanted);
  })(),
);
