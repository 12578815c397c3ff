// The pictures and tables of a zip, one after another; the archive is never in memory as a whole.

import { Unzip, UnzipInflate } from "../vendor/fflate-0.8.3.js";

const WANTED = /\.(jpe?g|png|webp|gif|bmp|tiff?|heic|avif|csv|tsv|txt)$/i;
const HIDDEN = /(^|\/)(\.|__MACOSX\/)/;
const MOST_BYTES = 20 * 2 ** 20; // of one picture, unpacked: a bomb ends here
const MOST_FILES = 200_000;

self.onmessage = async ({ data: { file } }) => {
  try {
    const skipped = await unpack(file);
    self.postMessage({ done: true, skipped });
  } catch (error) {
    self.postMessage({ done: true, skipped: 0, problem: error.message || "the zip is damaged" });
  }
};

async function unpack(file) {
  let skipped = 0;
  let found = 0;
  const unzip = new Unzip((entry) => {
    if (entry.name.endsWith("/")) return;
    if (HIDDEN.test(entry.name) || !WANTED.test(entry.name) || found >= MOST_FILES) {
      skipped += 1;
      return;
    }
    found += 1;
    const chunks = [];
    let size = 0;
    entry.ondata = (error, chunk, isLast) => {
      if (error) throw error;
      size += chunk.length;
      if (size > MOST_BYTES) {
        if (chunks.length) skipped += 1;
        chunks.length = 0;
        return;
      }
      chunks.push(chunk);
      if (isLast) {
        const name = entry.name.split("/").pop();
        self.postMessage({ file: new File(chunks, name), path: entry.name });
      }
    };
    entry.start();
  });
  unzip.register(UnzipInflate);
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    unzip.push(value || new Uint8Array(0), done);
    if (done) break;
  }
  if (!found && !skipped) throw new Error("this is no zip, or an empty one");
  return skipped;
}
