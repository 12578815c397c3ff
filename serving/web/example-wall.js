// Examples with their answers; a label can be put right where it is seen.

import { call, projectPath } from "./api.js";
import { Icon, Problem, html, percent, useEffect, useState } from "./elements.js";

const PAGE = 30;

export function Examples({ project, evaluation, found, isPlain }) {
  const [count, setCount] = useState(PAGE);
  const shown = found.slice(0, count);
  const [links, error] = useLinks(project, shown);
  return html`<${Problem} error=${error} />
    <ul class=${project.kind === "text" ? "wall texts" : "wall"}>
      ${shown.map((one) => html`<li key=${one.sha256}><${Shown} project=${project} evaluation=${evaluation} one=${one} url=${links[one.sha256]} isPlain=${isPlain} /></li>`)}
    </ul>
    ${found.length > count && html`<button class="quiet" onClick=${() => setCount(count + PAGE)}>Show more</button>`}`;
}

function useLinks(project, shown) {
  const [links, setLinks] = useState({});
  const [error, setError] = useState(null);
  const wanted = project.kind === "text" ? [] : shown.map((one) => one.sha256).filter((sha256) => !links[sha256]);
  useEffect(() => {
    if (!wanted.length) return;
    call("POST", projectPath(project.project, "examples", "links"), { sha256: wanted.slice(0, 200) }).then(
      (found) => setLinks((before) => ({ ...before, ...found.links })),
      setError,
    );
  }, [wanted.join()]);
  return [links, error];
}

function Shown({ project, evaluation, one, url, isPlain }) {
  const [isOpen, setOpen] = useState(false);
  const name = (index) => evaluation.classes[index] ?? "unknown";
  const caption = isPlain
    ? html`<span class="clip" title=${one.name}>${one.name}</span><span class="dim">${one.note}</span>`
    : html`<span>${one.truth === one.predicted ? name(one.truth) : html`<s>${name(one.predicted)}</s> ${name(one.truth)}`}</span><span class="dim">${percent(one.confidence)} sure</span>`;
  return html`<figure class="example">
    ${project.kind === "text"
      ? html`<blockquote>${one.text || html`<span class="dim">${one.name}</span>`}</blockquote>`
      : url
        ? html`<a href=${url} target="_blank" rel="noopener noreferrer"><img src=${url} alt=${one.name} loading="lazy" decoding="async" /></a>`
        : html`<span class="broken"><${Icon} name="picture" /></span>`}
    <figcaption>${caption}
      ${!isPlain && (project.kind === "image" || one.text) && html`<button class="icon small" aria-label=${`Change the label of ${one.name}`} aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}><${Icon} name="pen" /></button>`}
    </figcaption>
    ${isOpen && html`<${Relabel} project=${project} one=${one} given=${name(one.truth)} />`}
  </figure>`;
}

function Relabel({ project, one, given }) {
  const [state, setState] = useState({});
  const give = async (label) => {
    if (!label) return;
    const example = project.kind === "text" ? { text: one.text } : { sha256: one.sha256 };
    try {
      await call("POST", projectPath(project.project, "feedback"), { label, ...example });
      setState({ label });
    } catch (error) {
      setState({ error });
    }
  };
  if (state.label) return html`<p class="thanks" role="status"><${Icon} name="tick" /> Next time learnt as “${state.label}”.</p>`;
  return html`<select aria-label="The right label" value="" onChange=${(event) => give(event.target.value)}>
      <option value="">It really is …</option>
      ${project.classes.map((name) => html`<option value=${name}>${name}${name === given ? " (as given)" : ""}</option>`)}
    </select><${Problem} error=${state.error} />`;
}
