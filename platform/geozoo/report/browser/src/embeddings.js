// Where members lie in the space of an embedding: embeddings.parquet with `member`, `epoch` and one column an axis.
import { Column } from "./table.js";

/** Rows (of the member table), axes (columns, one value a row) and epochs as text. */
export async function readEmbeddings(source, table) {
  const file = await source.embeddings();
  const names = file.columns.filter((name) => name !== "member" && name !== "epoch");
  const [members, epochs, ...values] = await Promise.all(["member", "epoch", ...names].map((name) => file.read(name)));
  const known = members.map((id, index) => [table.rowOf.get(id), index]).filter(([row]) => row !== undefined);
  const axes = names.map((name, axis) => new Axis(name, Float64Array.from(known, ([, index]) => values[axis][index])));
  return { rows: known.map(([row]) => row), axes, epochs: [...new Set(epochs)].sort((a, b) => a - b).join(", ") };
}

/** A column that is a range of numbers, however few they are. */
class Axis extends Column {
  constructor(name, numbers) {
    super(name, numbers, 0);
  }
}
