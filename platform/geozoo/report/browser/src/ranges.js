// Requests of byte ranges, on hosts that serve ranges and, slowly, on those that do not.

/** Fetch a URL or fail with one sentence. */
async function request(asked, init) {
  const url = asked.url ?? String(asked);
  let response;
  try {
    response = await fetch(asked, init);
  } catch {
    throw new Error(`${url} cannot be fetched: the server does not answer.`);
  }
  if (response.ok || response.status === 404) return response;
  const words = response.headers.get("Content-Type")?.startsWith("text/plain") ? await response.text() : "";
  throw new Error(words.trim() || `${url} cannot be fetched: the server answers ${response.status}.`);
}

/** JSON at a URL, or `fallback` where there is none and one is given. */
export async function fetchJson(url, fallback) {
  const response = await request(url);
  if (response.ok) return response.json();
  if (fallback === undefined) throw new Error(`${url} is missing.`);
  return fallback;
}

/** `fetch` for a store of zarrita: a range is a range also where the host answers with the whole file. */
export async function fetchRange(asked) {
  const response = await request(asked);
  const range = asked.headers.get("Range")?.match(/^bytes=(\d+)-(\d+)$/);
  if (!range || response.status !== 200) return response;
  const whole = await response.arrayBuffer();
  return new Response(whole.slice(Number(range[1]), Number(range[2]) + 1), { status: 206 });
}

/** A file at a URL as hyparquet reads it. */
export async function openFile(url) {
  const head = await request(url, { method: "HEAD" });
  if (!head.ok) throw new Error(`${url} is missing.`);
  const byteLength = Number(head.headers.get("Content-Length"));
  let whole = null;
  const slice = async (start, end = byteLength) => {
    if (whole) return (await whole).slice(start, end);
    const response = await request(url, { headers: { Range: `bytes=${start}-${end - 1}` } });
    if (response.status === 206) return response.arrayBuffer();
    if (!response.ok) throw new Error(`${url} is missing.`);
    whole ??= response.arrayBuffer();
    return (await whole).slice(start, end);
  };
  return { byteLength, slice };
}
