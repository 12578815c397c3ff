// All classes of pictures: folders and zips for several at once, and what is on its way.

import { call, projectPath } from "./api.js";
import { ClassCard } from "./class-card.js";
import { chosen, dropped, sorted } from "./drops.js";
import { Icon, Problem, html, many, number, useCallback, useConfirm, useEffect, useRef, useState } from "./elements.js";


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
