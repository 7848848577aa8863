// What is looked at, kept in the address, so that a link shows the same.
const SEPARATOR = "..";
let written = location.hash;

/** Read `{zoo, member, conditions}` from the address; conditions are `[column name, text]`. */
export function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const conditions = [...words].filter(([key]) => key.startsWith("f.")).map(([key, text]) => [key.slice(2), text]);
  return { zoo: words.get("zoo"), member: words.get("member"), conditions };
}

/** Write the zoo, the member and the conditions of a selection to the address, unless someone else has changed it. */
export function writeAddress(zoo, member, selection) {
  if (location.hash !== written) return;
  const words = new URLSearchParams();
  if (zoo) words.set("zoo", zoo);
  if (member) words.set("member", member);
  for (const [column, condition] of selection.conditions) {
    const text = condition instanceof Set ? JSON.stringify([...condition].map((code) => column.categories[code])) : condition.join(SEPARATOR);
    words.set(`f.${column.name}`, text);
  }
  const hash = words.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  written = location.hash;
}

/** The condition that a text of the address means for a column; null where it means none. */
export function parseCondition(column, text) {
  if (!column.isCategory) {
    const ends = text.split(SEPARATOR).map(Number);
    return ends.length === 2 && !ends.some(Number.isNaN) ? ends : null;
  }
  try {
    const codes = JSON.parse(text).map((category) => column.categories.indexOf(category));
    return new Set(codes.filter((code) => code >= 0));
  } catch {
    return null;
  }
}
