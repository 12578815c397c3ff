// A class of pictures: its name, what it holds, and every way to put pictures into it.

import { call, projectPath } from "./api.js";
import { chosen, classOf, dropped } from "./drops.js";
import { Dialog, Icon, html, hue, many, number, useEffect, useMemo, useState } from "./elements.js";
import { Gallery } from "./gallery.js";
import { Webcam } from "./webcam.js";

const SHOWN = matchMedia("(max-width: 560px)").matches ? 8 : 22; // two rows

export function ClassCard({ name, index, project, count, uploads, queue, collection, edit, ask, take, latest }) {
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
    // Also what the server has not counted yet is worth a question.
    const held = Math.max(count, local.length);
    if (held && !(await ask({ title: `Remove “${name}”?`, action: "Remove class", text: `Its ${many(held, "picture")} will no longer be learnt from.` }))) return;
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
