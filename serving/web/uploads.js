// Files on their way to storage: prepared by workers, announced in batches, sent in parallel.
// The queue of a project outlives the part of the page that shows it.

import { call, pause, projectPath } from "./api.js";

export const UPLOAD = "examples"; // the list that this page edits

const WORKERS = Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1));
const PREPARED_AHEAD = 64; // so many pictures lie in memory at most
const BATCH = 200;
const SENDERS = 6;
const TRIES = 4;
const GATHER_MS = 250;

const queues = new Map();

export function uploadsOf(project) {
  if (!queues.has(project)) queues.set(project, new Uploads(project));
  return queues.get(project);
}

addEventListener("beforeunload", (event) => {
  if ([...queues.values()].some((queue) => queue.isBusy)) event.preventDefault();
});

class Uploads extends EventTarget {
  constructor(project) {
    super();
    this.project = project;
    this.items = [];
    this.workers = [];
    this.waiting = [];
    this.ready = [];
    this.posts = [];
    this.preparing = this.announcing = this.sending = 0;
    this.seen = new Map(); // class and hash → item, so that nothing is sent twice
    this.nextId = 1;
  }

  get isBusy() {
    return Boolean(this.waiting.length || this.ready.length || this.posts.length)
      || this.preparing + this.announcing + this.sending > 0;
  }

  // `files`: [{file, className, split?}]; with `isTable` also the columns.
  add(files) {
    for (const given of files) {
      const item = {
        ...given,
        id: this.nextId++,
        name: (given.name || given.file.name || "picture").slice(-512),
        state: "waiting",
        reason: "",
        tries: 0,
      };
      this.items.push(item);
      this.waiting.push(item);
    }
    this.changed();
    this.pump();
  }

  retry(isMine = () => true) {
    for (const item of this.items) {
      if (item.state !== "failed" || !isMine(item) || item.isFinal) continue;
      Object.assign(item, { state: "waiting", reason: "", tries: 0 });
      this.waiting.push(item);
    }
    this.changed();
    this.pump();
  }

  // What has not been announced yet follows its class.
  rename(before, after) {
    for (const item of this.items) if (item.className === before) item.className = after;
    this.changed();
  }

  forget(isMine) {
    const goes = (item) => isMine(item) && (item.state === "failed" || item.state === "done");
    for (const item of this.items) {
      if (!goes(item)) continue;
      if (item.thumbUrl) URL.revokeObjectURL(item.thumbUrl);
      this.seen.delete(`${item.className}\n${item.sha256}`);
    }
    this.items = this.items.filter((item) => !goes(item));
    this.changed();
  }

  pump() {
    while (this.waiting.length && this.preparing < WORKERS && this.ahead < PREPARED_AHEAD) {
      this.prepare(this.waiting.shift());
    }
    this.gather();
    while (this.posts.length && this.sending < SENDERS) this.send(this.posts.shift());
  }

  get ahead() {
    return this.ready.length + this.posts.length + this.sending;
  }

  async prepare(item) {
    this.preparing += 1;
    item.state = "preparing";
    const found = item.isTable ? await hashed(item.file) : await this.worked(item.file);
    this.preparing -= 1;
    if (found.problem) this.fail(item, found.problem, true);
    else {
      const key = `${item.className}\n${found.sha256}`;
      const twin = this.seen.get(key);
      Object.assign(item, found);
      // One that is stored is announced again, which costs little: another tab may have taken it out.
      if (twin && twin !== item && ["ready", "sending"].includes(twin.state)) {
        item.state = "done";
        item.isTwin = true;
        item.blob = null;
      } else {
        this.seen.set(key, item);
        if (found.thumb) item.thumbUrl = URL.createObjectURL(found.thumb);
        item.state = "ready";
        this.ready.push(item);
      }
    }
    item.thumb = null;
    this.changed();
    this.pump();
  }

  worked(file) {
    const worker = this.workers.find((one) => !one.isTaken) || this.hire();
    worker.isTaken = true;
    return new Promise((resolve) => {
      const end = (found) => {
        worker.isTaken = false;
        resolve(found);
      };
      worker.onmessage = ({ data }) => end(data);
      worker.onerror = () => end({ problem: "the picture could not be read" });
      worker.postMessage({ file });
    });
  }

  hire() {
    const worker = new Worker(new URL("./workers/picture.js", import.meta.url), { type: "module" });
    this.workers.push(worker);
    return worker;
  }

  gather() {
    if (this.announcing || !this.ready.length) return;
    const isWhole = !this.waiting.length && !this.preparing;
    if (this.ready.length >= PREPARED_AHEAD / 2 || isWhole) this.announce();
    else if (!this.timer) {
      this.timer = setTimeout(() => {
        this.timer = 0;
        if (!this.announcing && this.ready.length) this.announce();
      }, GATHER_MS);
    }
  }

  async announce() {
    this.announcing += 1;
    const batch = this.ready.splice(0, BATCH);
    await this.announced(batch);
    this.announcing -= 1;
    this.changed();
    this.pump();
  }

  async announced(batch) {
    const files = batch.map(described).sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
    let answer;
    try {
      answer = await call("POST", projectPath(this.project, "uploads"), { upload: UPLOAD, files });
    } catch (error) {
      // One file that is refused must not keep the others back.
      const isOnes = error.status >= 400 && error.status < 500 && error.status !== 401;
      if (isOnes && batch.length > 1) {
        const half = batch.length >> 1;
        await this.announced(batch.slice(0, half));
        await this.announced(batch.slice(half));
        return;
      }
      for (const item of batch) this.fail(item, [error.message, error.fix].filter(Boolean).join(" – "));
      return;
    }
    const posts = new Map(answer.posts.map((post) => [post.sha256, post]));
    for (const item of batch) {
      const post = posts.get(item.sha256);
      if (post) {
        item.state = "sending";
        this.posts.push({ item, post });
      } else this.finish(item);
    }
    this.pump();
  }

  async send({ item, post }) {
    this.sending += 1;
    item.state = "sending";
    const status = await posted(post, item.blob);
    this.sending -= 1;
    if (status >= 200 && status < 300) this.finish(item);
    else if (item.tries + 1 >= TRIES) this.fail(item, refusal(status));
    else {
      item.tries += 1;
      await pause(300 * 2 ** item.tries);
      if (status === 403) this.ready.push(item); // the permission has expired: ask for another
      else this.posts.push({ item, post });
    }
    this.pump();
  }

  finish(item) {
    item.state = "done";
    item.blob = null;
    this.changed();
    this.dispatchEvent(new Event("stored"));
  }

  fail(item, reason, isFinal = false) {
    Object.assign(item, { state: "failed", reason, isFinal, blob: null });
    this.changed();
  }

  // Told at most ten times a second, however many files there are.
  changed() {
    if (this.isTold) return;
    this.isTold = true;
    setTimeout(() => {
      this.isTold = false;
      this.dispatchEvent(new Event("change"));
    }, 100);
  }
}

function described(item) {
  const found = {
    class: item.className,
    name: item.name,
    size_bytes: item.blob.size,
    sha256: item.sha256,
    content_type: item.type,
  };
  if (item.split) found.split = item.split;
  if (item.columns) Object.assign(found, item.columns);
  if (item.isTable && !item.className) delete found.class;
  return found;
}

async function posted(post, blob) {
  const form = new FormData();
  for (const [name, value] of Object.entries(post.fields)) form.append(name, value);
  form.append("file", blob);
  try {
    return (await fetch(post.url, { method: "POST", body: form })).status;
  } catch {
    return 0;
  }
}

function refusal(status) {
  return status ? `storage refused it (${status})` : "the connection was lost";
}

async function hashed(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  const sha256 = Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
  const isTabs = /\.tsv$/i.test(file.name);
  const type = /\.txt$/i.test(file.name) ? "text/plain" : isTabs ? "text/tab-separated-values" : "text/csv";
  return { blob: file, type, sha256 };
}
