// Class cards: what each class holds, and every way to put pictures into one.

import { call, projectPath } from "./api.js";
import { chosen, classOf, dropped, sorted } from "./drops.js";
import { Gallery } from "./gallery.js";
import { Dialog, Icon, Problem, html, hue, many, number, useCallback, useConfirm, useEffect, useMemo, useRef, useState } from "./elements.js";
import { Webcam } from "./webcam.js";

const SHOWN = matchMedia("(max-width: 560px)").matches ? 8 : 22; // two rows

export function PictureClasses({ project, collection, error, look, uploads, queue, again }) {
  const [problem, setProblem] = useState(null);
  const [isOver, setOver] = useState(false);
  const [ask, dialog] = useConfirm();
  const latest = useRef(project.classes[0]);
  const counts = new Map((collection?.classes || []).map((one) => [one.name, one.examples]));
  const edit = useCallback(
    async (change) => {
      try {
        await call("PATCH", projectPath(project.project, "examples"), change);
        if (change.rename) uploads.rename(change.rename.class, change.rename.to);
        setProblem(null);
        return true;
      } catch (found) {
        setProblem(found);
        return false;
      } finally {
        look();
        again();
      }
    },
    [project.project, look, again],
  );
  // Folders name classes; what lies in none goes to `className`, or to the class used last.
  const take = async (gathering, className) => {
    const { files, problems } = await gathering;
    if (problems.length) setProblem({ message: problems.join("; "), fix: "pack the zip again" });
    if (!files.length) return;
    const found = className ? files.map((one) => ({ ...one, className })) : sorted(files);
    const names = [...new Set(found.map((one) => one.className).filter(Boolean))];
    if (!className && names.length && !(await makeRoom(names))) return;
    const fallback = className || latest.current;
    latest.current = className || latest.current;
    uploads.add(found.map((one) => ({ file: one.file, className: one.className || fallback, name: one.path, split: one.split })));
  };
  // Classes nobody has filled or renamed yet give way to those that folders name.
  const makeRoom = async (names) => {
    const wanted = names.filter((name) => !project.classes.includes(name));
    if (!wanted.length) return true;
    const spare = project.classes.filter((name) => /^Class \d+$/.test(name) && !counts.get(name));
    const kept = project.classes.filter((name) => !spare.includes(name) || names.includes(name));
    wanted.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const classes = [...kept, ...wanted];
    const filled = classes.length < 2 ? [...classes, ...spare.slice(0, 2 - classes.length)] : classes;
    try {
      await call("PATCH", projectPath(project.project), { classes: filled });
      again();
      return true;
    } catch (found) {
      setProblem(found);
      return false;
    }
  };
  useEffect(() => {
    const pasted = (event) => {
      if (event.target.closest("input, textarea, dialog, .try")) return;
      const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
      if (files.length) take(Promise.resolve({ files: files.map((file) => ({ file, path: file.name })), problems: [] }), latest.current);
    };
    document.addEventListener("paste", pasted);
    return () => document.removeEventListener("paste", pasted);
  });
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    setOver(true);
  };
  return html`
    <div class=${`bulk ${isOver ? "over" : ""}`} onDragOver=${over} onDragLeave=${() => setOver(false)}
      onDrop=${(event) => {
        event.preventDefault();
        setOver(false);
        take(dropped(event.dataTransfer), "");
      }}>
      <${Icon} name="folder" />
      <span>Drop a folder or a zip with <strong>one folder for each class</strong>, or</span>
      <label class="button quiet small">choose a folder
        <input type="file" class="hidden" webkitdirectory multiple onChange=${(event) => take(chosen(event.target), "")} />
      </label>
      <label class="button quiet small">choose a zip
        <input type="file" class="hidden" accept=".zip" multiple onChange=${(event) => take(chosen(event.target), "")} />
      </label>
    </div>
    <${Problem} error=${problem || error} />
    ${collection?.missing_total > 0 && !uploads.isBusy && html`<${Missing} collection=${collection} edit=${edit} />`}
    <${Sending} uploads=${uploads} />
    <ul class="classes" aria-label="Classes">
      ${project.classes.map((name, index) => html`<li key=${name}>
        <${ClassCard} name=${name} index=${index} project=${project} count=${counts.get(name) || 0} uploads=${uploads} queue=${queue}
          collection=${collection} edit=${edit} ask=${ask} take=${take} latest=${latest} />
      </li>`)}
    </ul>
    <button class="add-class" onClick=${() => edit({ add_class: freshName(project.classes) })}><${Icon} name="plus" />Add a class</button>
    ${dialog}`;
}

function freshName(classes) {
  let n = classes.length + 1;
  while (classes.includes(`Class ${n}`)) n += 1;
  return `Class ${n}`;
}

function Missing({ collection, edit }) {
  const count = collection.missing_total;
  return html`<div class="note warn" role="status">
    <p><strong>${many(count, "picture has", "pictures have")} not arrived.</strong> The page was closed
      while they were sent. Drop the same files again: only what is missing is sent.</p>
    <button class="quiet small" onClick=${() => edit({ forget_missing: true })}>Go on without them</button>
  </div>`;
}

function Sending({ uploads }) {
  if (!uploads.items.length) return null;
  const failed = uploads.items.filter((item) => item.state === "failed");
  const done = uploads.items.filter((item) => item.state === "done").length;
  const all = uploads.items.length;
  if (!uploads.isBusy && !failed.length) return null;
  return html`<div class="sending" role="status">
    ${uploads.isBusy && html`<progress max=${all} value=${done + failed.length} aria-label="Upload"></progress>
      <span>${number(done)} of ${number(all)} are stored</span>`}
    ${failed.length > 0 && html`<details class="failed" open=${failed.length <= 3}><summary>${many(failed.length, "file was", "files were")} not taken</summary>
      <ul>${failed.slice(0, 50).map((item) => html`<li key=${item.id}><strong>${item.name}</strong>: ${item.reason}</li>`)}</ul>
      <div class="actions">
        ${failed.some((item) => !item.isFinal) && html`<button class="small" onClick=${() => uploads.retry()}>Send again</button>`}
        <button class="quiet small" onClick=${() => uploads.forget((item) => item.state === "failed")}>Dismiss</button>
      </div></details>`}
  </div>`;
}

function ClassCard({ name, index, project, count, uploads, queue, collection, edit, ask, take, latest }) {
  const [isOver, setOver] = useState(false);
  const [isWebcam, setWebcam] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const files = useFiles(project.project, name, collection, count);
  const local = useMemo(
    () => [...new Map(uploads.items.filter((item) => item.className === name && item.thumbUrl).map((item) => [item.sha256, item])).values()],
    [queue, name, uploads.items.length],
  );
  const onTheWay = uploads.isBusy ? local.filter((item) => item.state !== "failed").length : 0;
  const seen = Math.max(count, onTheWay);
  const known = new Set(local.map((item) => item.sha256));
  const remote = files.filter((file) => !known.has(file.sha256));
  const shown = [...local.slice(-SHOWN).reverse().map(ofItem), ...remote].slice(0, SHOWN);
  const needed = project.limits.min_per_class;
  const least = Math.max(0, needed - seen);
  const remove = async () => {
    if (count && !(await ask({ title: `Remove “${name}”?`, action: "Remove class", text: `Its ${many(count, "picture")} will no longer be learnt from.` }))) return;
    if (await edit({ drop_class: name })) uploads.forget((item) => item.className === name);
  };
  const takeOut = async (file) => {
    if (await edit({ remove: [{ sha256: file.sha256, class: name }] })) {
      uploads.forget((item) => item.className === name && item.sha256 === file.sha256);
    }
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    latest.current = name;
    take(dropped(event.dataTransfer), name);
  };
  return html`<article class=${`card class ${isOver ? "over" : ""}`} style=${{ "--hue": hue(index) }} aria-label=${`Class ${name}`}
    onDragOver=${(event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      setOver(true);
    }}
    onDragLeave=${() => setOver(false)} onDrop=${drop} onFocusIn=${() => (latest.current = name)} onPointerDown=${() => (latest.current = name)}>
    <header>
      <${ClassName} name=${name} classes=${project.classes} edit=${edit} />
      <span class="count">${many(seen, "picture")}</span>
      ${count > 0 && html`<button class="quiet small" aria-label=${`All ${number(count)} pictures of ${name}`} onClick=${() => setOpen(true)}>All</button>`}
      <button class="icon" aria-label=${`Remove class ${name}`} disabled=${project.classes.length <= 2}
        title=${project.classes.length <= 2 ? "Two classes are the least" : "Remove this class"} onClick=${remove}><${Icon} name="bin" /></button>
    </header>
    <div class="ways">
      <label class="button quiet small"><${Icon} name="files" />Add pictures
        <input type="file" class="hidden" accept="image/*,.zip" multiple aria-label=${`Add pictures to ${name}`}
          onChange=${(event) => {
            latest.current = name;
            take(chosen(event.target), name);
          }} />
      </label>
      <button class="quiet small" onClick=${() => setWebcam(!isWebcam)} aria-expanded=${isWebcam}><${Icon} name="camera" />Webcam</button>
      ${least > 0 && html`<span class="dim">${seen ? `${many(least, "more picture")} needed` : `at least ${needed}, better 30 or more`}</span>`}
    </div>
    ${isWebcam && html`<${Webcam} label=${name} onClose=${() => setWebcam(false)}
      onShot=${(file) => uploads.add([{ file, className: name, name: file.name }])} />`}
    ${shown.length
      ? html`<ul class="thumbs" aria-label=${`Pictures of ${name}`}>
          ${shown.map((file) => html`<${Thumb} key=${file.sha256 || file.key} file=${file} onRemove=${() => takeOut(file)} />`)}
        </ul>`
      : html`<p class="empty dim">Drop pictures here, or paste one.</p>`}
    ${isOpen && html`<${Dialog} title=${`${name}: ${many(count, "picture")}`} onClose=${() => setOpen(false)} isWide=${true}>
      <${Gallery} project=${project} className=${name} edit=${edit} uploads=${uploads} />
    <//>`}
  </article>`;
}

const ofItem = (item) => ({ key: item.id, sha256: item.sha256, name: item.name, url: item.thumbUrl, isSending: item.state !== "done" && item.state !== "failed", hasFailed: item.state === "failed" });

function Thumb({ file, onRemove }) {
  const [isBroken, setBroken] = useState(false);
  return html`<li class=${`thumb ${file.isSending ? "sending" : ""} ${file.hasFailed ? "failed" : ""}`}>
    ${isBroken
      ? html`<span class="broken" title=${file.name}><${Icon} name="picture" /></span>`
      : html`<img src=${file.url} alt=${file.name} loading="lazy" decoding="async" width="64" height="64" onError=${() => setBroken(true)} />`}
    ${!file.isSending && !file.hasFailed && html`<button class="remove" aria-label=${`Remove ${file.name}`} onClick=${onRemove}><${Icon} name="close" /></button>`}
  </li>`;
}

function ClassName({ name, classes, edit }) {
  const [given, setGiven] = useState(name);
  useEffect(() => setGiven(name), [name]);
  const save = async () => {
    const wanted = classOf(given);
    if (!wanted || wanted === name) return setGiven(name);
    const isTaken = classes.includes(wanted);
    if (isTaken || !(await edit({ rename: { class: name, to: wanted } }))) setGiven(name);
    return undefined;
  };
  return html`<span class="class-name"><span class="dot"></span>
    <input value=${given} maxlength="64" title=${name} aria-label="Name of the class" spellcheck=${false}
      onInput=${(event) => setGiven(event.target.value)} onFocus=${(event) => event.target.select()} onBlur=${save}
      onKeyDown=${(event) => {
        if (event.key === "Enter") event.target.blur();
        if (event.key === "Escape") {
          setGiven(name);
          setTimeout(() => event.target.blur());
        }
      }} /></span>`;
}

// The first pictures of a class; asked for again when their number changes.
function useFiles(project, name, collection, count) {
  const [files, setFiles] = useState([]);
  useEffect(() => {
    if (!collection) return undefined;
    if (!count) {
      setFiles([]);
      return undefined;
    }
    let isOver = false;
    const query = new URLSearchParams({ class: name, limit: SHOWN });
    call("GET", `${projectPath(project, "examples")}?${query}`)
      .then((found) => !isOver && setFiles(found.files))
      .catch(() => {});
    return () => {
      isOver = true;
    };
  }, [project, name, count, Boolean(collection)]);
  return files;
}
