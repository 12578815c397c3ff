// All pictures of a class, page by page: take out, or move to another class.

import { call, projectPath } from "./api.js";
import { Problem, html, many, useEffect, useState } from "./elements.js";

const PAGE = 120;

export function Gallery({ project, className, edit, uploads }) {
  const [files, setFiles] = useState([]);
  const [next, setNext] = useState(0);
  const [error, setError] = useState(null);
  const [picked, setPicked] = useState(new Set());
  const more = async () => {
    const query = new URLSearchParams({ class: className, limit: PAGE, offset: next });
    try {
      const found = await call("GET", `${projectPath(project.project, "examples")}?${query}`);
      setFiles((before) => [...before, ...found.files]);
      setNext(found.next);
    } catch (problem) {
      setError(problem);
    }
  };
  useEffect(() => {
    more();
  }, []);
  const pick = (sha256) => {
    const changed = new Set(picked);
    if (!changed.delete(sha256)) changed.add(sha256);
    setPicked(changed);
  };
  const act = async (change) => {
    if (!(await edit(change))) return;
    uploads.forget((item) => item.className === className && picked.has(item.sha256));
    setFiles(files.filter((file) => !picked.has(file.sha256)));
    setNext(next === null ? null : Math.max(0, next - picked.size));
    setPicked(new Set());
  };
  const chosen = [...picked].map((sha256) => ({ sha256, class: className }));
  return html`<${Problem} error=${error} />
    <div class="gallery-bar" role="group" aria-label="Chosen pictures">
      <span aria-live="polite">${picked.size ? `${many(picked.size, "picture")} chosen` : "Choose pictures to move or take out"}</span>
      <select aria-label="Move to class" disabled=${!picked.size} value=""
        onChange=${(event) => act({ move: chosen.map((one) => ({ ...one, to: event.target.value })) })}>
        <option value="">Move to …</option>
        ${project.classes.filter((name) => name !== className).map((name) => html`<option value=${name}>${name}</option>`)}
      </select>
      <button class="quiet small" disabled=${!picked.size} onClick=${() => act({ remove: chosen })}>Take out</button>
    </div>
    <ul class="gallery">
      ${files.map((file) => html`<li key=${file.sha256}>
        <button class=${picked.has(file.sha256) ? "picked" : ""} aria-pressed=${picked.has(file.sha256)} onClick=${() => pick(file.sha256)} title=${file.name}>
          <img src=${file.url} alt=${file.name} loading="lazy" decoding="async" width="96" height="96" />
        </button></li>`)}
    </ul>
    ${next !== null && files.length > 0 && html`<button class="quiet" onClick=${more}>Show more</button>`}`;
}
