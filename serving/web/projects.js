// Your projects, and making another.

import { call } from "./api.js";
import { Icon, Problem, html, percent, usePolled, useState, when } from "./elements.js";
import { keepKey } from "./kept-key.js";

export function ProjectList() {
  const [found, error, again] = usePolled(() => call("GET", "v1/projects"), 15_000, []);
  const [isMaking, setMaking] = useState(false);
  const projects = found?.projects;
  const isFirst = projects && !projects.length;
  return html`<section class="page">
    <div class="heading">
      <h1>${isFirst ? "Make your first classifier" : "Your projects"}</h1>
      ${projects?.length > 0 && !isMaking && html`<button class="primary" onClick=${() => setMaking(true)}>
        <${Icon} name="plus" />New project</button>`}
    </div>
    <${Problem} error=${error} onRetry=${again} />
    ${!found && !error && html`<p class="loading">Loading …</p>`}
    ${(isMaking || isFirst) && html`<${NewProject} onCancel=${isFirst ? null : () => setMaking(false)} />`}
    <ul class="cards" aria-label="Projects">
      ${(projects || []).map((project) => html`<li key=${project.project}><${ProjectCard} project=${project} /></li>`)}
    </ul>
  </section>`;
}

function ProjectCard({ project }) {
  const { accuracy } = project.metrics;
  return html`<a class="card project" href=${`#/${project.project}`}>
    <span class="kind"><${Icon} name=${project.kind === "text" ? "text" : "picture"} /></span>
    <span class="title">${project.project}</span>
    <span class="dim clip">${project.classes.length ? project.classes.join(" · ") : "no classes yet"}</span>
    <span class="foot">
      ${project.model_version
        ? html`<span class="chip good">live${accuracy !== undefined ? `, ${percent(accuracy)} right` : ""}</span>`
        : html`<span class="chip">not trained yet</span>`}
      <span class="dim">${when(project.created_at)}</span>
    </span>
  </a>`;
}

const KINDS = [
  { kind: "image", icon: "picture", title: "Pictures", text: "Photographs, drawings or scans; from a folder or the webcam" },
  { kind: "text", icon: "text", title: "Texts", text: "Messages, reviews or sentences; from a table or typed in" },
];

function NewProject({ onCancel }) {
  const [kind, setKind] = useState("image");
  const [title, setTitle] = useState("");
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const name = nameOf(title);
  const make = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const classes = kind === "image" ? ["Class 1", "Class 2"] : [];
    try {
      const made = await call("POST", "v1/projects", { name, kind, classes });
      if (made.key) keepKey(name, made.key);
      location.hash = `#/${name}`;
    } catch (problem) {
      setBusy(false);
      setError(problem.code === "conflict" ? taken(name) : problem);
    }
  };
  return html`<form class="card new" onSubmit=${make}>
    <fieldset class="kinds">
      <legend>What do you want to tell apart?</legend>
      ${KINDS.map((one) => html`<label class=${`kind-choice ${kind === one.kind ? "chosen" : ""}`}>
        <input type="radio" name="kind" value=${one.kind} checked=${kind === one.kind} onChange=${() => setKind(one.kind)} />
        <${Icon} name=${one.icon} /><span><strong>${one.title}</strong><span class="dim">${one.text}</span></span>
      </label>`)}
    </fieldset>
    <label class="field">Name
      <input value=${title} maxlength="64" placeholder="cats-and-dogs" autocomplete="off"
        onInput=${(event) => setTitle(event.target.value)} aria-describedby="name-form" />
    </label>
    <p id="name-form" class="dim">${name && name !== title
      ? html`It will be called <code>${name}</code>.`
      : "Small letters, digits and hyphens; it is part of the address."}</p>
    <${Problem} error=${error} />
    <div class="actions">
      ${onCancel && html`<button type="button" class="quiet" onClick=${onCancel}>Cancel</button>`}
      <button class="primary" disabled=${!name || isBusy}>Create project</button>
    </div>
  </form>`;
}

function taken(name) {
  return { message: `you have another project called ${name}`, fix: "choose another name, or open that one" };
}

function nameOf(title) {
  const plain = title.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").slice(0, 32).replace(/^-+|-+$/g, "");
}
