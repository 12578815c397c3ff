// What was dropped, chosen or pasted, as files with their paths; and which class a path means.

const SPLITS = { train: "train", training: "train", val: "train", valid: "train", validation: "train", test: "test", testing: "test" };
const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/i;

// Folders are read in full: a listing comes in parts of a hundred.
export async function dropped(transfer) {
  const entries = [...transfer.items]
    .map((item) => (item.kind === "file" ? item.webkitGetAsEntry?.() : null))
    .filter(Boolean);
  if (!entries.length) return unpacked([...transfer.files].map((file) => ({ file, path: file.name })));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return unpacked(found);
}

export function chosen(input) {
  const found = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  input.value = "";
  return unpacked(found);
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file) found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!part.length) return;
    for (const inner of part) await walk(inner, found);
  }
}

async function unpacked(files) {
  const found = [];
  const problems = [];
  for (const one of files) {
    if (HIDDEN.test(one.path)) continue;
    if (!/\.zip$/i.test(one.path)) found.push(one);
    else {
      const inside = await unzipped(one.file);
      // Of several zips each is a class of its own, unless it holds folders.
      const isFlat = inside.files.every(({ path }) => !path.includes("/"));
      const name = one.file.name.replace(/\.zip$/i, "");
      for (const { file, path } of inside.files) {
        found.push({ file, path: isFlat && files.length > 1 ? `${name}/${path}` : path });
      }
      if (inside.problem) problems.push(`${one.file.name}: ${inside.problem}`);
    }
  }
  return { files: found, problems };
}

function unzipped(file) {
  return new Promise((resolve) => {
    const worker = new Worker(new URL("./workers/zip.js", import.meta.url), { type: "module" });
    const files = [];
    worker.onmessage = ({ data }) => {
      if (!data.done) return files.push(data);
      worker.terminate();
      return resolve({ files, problem: data.problem });
    };
    worker.onerror = () => {
      worker.terminate();
      resolve({ files, problem: "the zip could not be read" });
    };
    worker.postMessage({ file });
  });
}

// Folders name classes: cat/1.jpg, pets/cat/1.jpg, train/cat/1.jpg. `className` is "" where none does.
export function sorted(files) {
  const depth = commonDepth(files.map(({ path }) => path.split("/")));
  return files.map(({ file, path }) => {
    const parts = path.split("/").slice(depth);
    const split = parts.length > 2 ? SPLITS[parts[0].toLowerCase()] : undefined;
    if (split) parts.shift();
    return { file, path, split, className: parts.length > 1 ? classOf(parts[0]) : "" };
  });
}

// How many folders lie around all class folders.
function commonDepth(paths) {
  let depth = 0;
  for (;;) {
    const first = paths[0]?.[depth];
    const isShared = paths.length && paths.every((p) => p.length > depth + 2 && p[depth] === first);
    if (!isShared) return depth;
    depth += 1;
  }
}

export function classOf(name) {
  return [...name.normalize("NFC").replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "").trim()].slice(0, 64).join("").trim();
}
