// Bundles src/ into static/: one script, one style sheet, one page, and the licences of what is bundled.
import { build } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(process.argv[2] ?? HERE, "static");
const ASSETS = join(STATIC, "browser");

// The weights of a zoo are never compressed by these; leaving them out halves the script.
const withoutCodecs = {
  name: "without-codecs",
  setup(bundle) {
    bundle.onResolve({ filter: /^numcodecs\// }, () => ({ path: join(HERE, "src", "codec.js") }));
  },
};

async function licencesOf(inputs) {
  const packages = new Set();
  for (const path of Object.keys(inputs)) {
    const found = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) packages.add(found[1]);
  }
  const texts = [];
  for (const name of [...packages].sort()) {
    const folder = join(HERE, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[sc]e/i.test(entry));
    const text = file ? await readFile(join(folder, file), "utf8") : "";
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}`.trim());
  }
  return texts.join(`\n\n${"-".repeat(72)}\n\n`) + "\n";
}

await rm(STATIC, { recursive: true, force: true });
await mkdir(ASSETS, { recursive: true });
const { metafile } = await build({
  absWorkingDir: HERE,
  entryPoints: ["src/main.js"],
  outfile: join(ASSETS, "app.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  metafile: true,
  plugins: [withoutCodecs],
  logLevel: "warning",
});
await writeFile(join(ASSETS, "licences.txt"), await licencesOf(metafile.inputs));
await cp(join(HERE, "src", "app.css"), join(ASSETS, "app.css"));
await cp(join(HERE, "src", "index.html"), join(STATIC, "index.html"));
