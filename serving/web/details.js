// Fetch details: how good the live model is, where it errs, what is odd in the data, what was live when.

import { call, projectPath, stored } from "./api.js";
import { Bars, Icon, Problem, bytes, html, hue, many, number, percent, sentence, useConfirm, useEffect, useMemo, useState, when } from "./elements.js";
import { Confusion } from "./confusion.js";
import { Examples } from "./example-wall.js";

export function DetailsPart({ project, again }) {
  const [evaluation, error] = useEvaluation(project);
  const [opened, setOpened] = useState(null);
  if (!project.model_version && !project.dataset_version) {
    return html`<section class="page narrow"><div class="card empty-part"><${Icon} name="alarm" />
      <h2>Nothing is known yet</h2><p>After a training this shows how good the model is, and where it errs.</p>
      <a class="button primary" href=${`#/${project.project}`}>Add examples and train</a></div></section>`;
  }
  return html`<section class="page details">
    <${Problem} error=${error} />
    ${project.model_version && html`<${Result} project=${project} evaluation=${evaluation} />`}
    ${evaluation && html`
      <div class="pair">
        <section class="card" aria-label="Classes"><h2>Each class</h2>
          <p class="dim">Of its test examples, how many were answered rightly.</p>
          <${PerClass} evaluation=${evaluation} /></section>
        <section class="card" aria-label="Confusion"><h2>What is taken for what</h2>
          <p class="dim">Rows are what it is, columns what was answered. Open a cell to see the examples.</p>
          <${Confusion} evaluation=${evaluation} opened=${opened} onOpen=${setOpened} /></section>
      </div>
      ${opened && html`<section class="card" aria-label="Opened cell"><${Cell} project=${project} evaluation=${evaluation} cell=${opened} onClose=${() => setOpened(null)} again=${again} /></section>`}
      <section class="card" aria-label="Wrong answers"><h2>Wrong answers</h2>
        <${Wrong} project=${project} evaluation=${evaluation} again=${again} /></section>`}
    <${DataProblems} project=${project} evaluation=${evaluation} />
    <${Versions} project=${project} again=${again} />
    <${Reports} project=${project} />
  </section>`;
}

// The live model's answers on its test examples, with what the manifest says of each.
function useEvaluation(project) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const version = project.model_version;
  useEffect(() => {
    setFound(null);
    if (!version) return undefined;
    let isOver = false;
    (async () => {
      try {
        const model = await call("GET", projectPath(project.project, "models", version));
        const live = project.versions.find((one) => one.model_version === version);
        const links = model.evaluations.find((one) => one.dataset_version === live?.dataset_version) || model.evaluations[0];
        if (!links) return;
        const [evaluation, manifest] = await Promise.all([stored(links.url), stored(links.manifest_url)]);
        const texts = project.kind === "text" ? await shownTexts(project) : new Map();
        if (!isOver) setFound(joined(evaluation, manifest, texts));
      } catch (problem) {
        if (!isOver) setError(problem);
      }
    })();
    return () => {
      isOver = true;
    };
  }, [project.project, version]);
  return [found, error];
}

// Texts lie in a table of the training side; the report holds those that are worth showing.
async function shownTexts(project) {
  try {
    const report = await call("GET", projectPath(project.project, "report"));
    const model = report.model && (await stored(report.model.json_url));
    return new Map([...(model?.wrong || []), ...(model?.right || [])].map((one) => [one.name, one.text]));
  } catch {
    return new Map();
  }
}

function joined(evaluation, manifest, texts) {
  const known = new Map(manifest.examples.map((example) => [example.sha256, example]));
  const classes = evaluation.classes;
  const answers = evaluation.sha256s.map((sha256, i) => ({
    sha256,
    truth: evaluation.truth[i],
    predicted: evaluation.predicted[i],
    confidence: evaluation.confidence[i],
    name: known.get(sha256)?.source || "",
    text: texts.get(known.get(sha256)?.source),
  }));
  const confusion = classes.map(() => classes.map(() => 0));
  for (const { truth, predicted } of answers) confusion[truth][predicted] += 1;
  const rejected = evaluation.rejected.filter(Boolean).length;
  return { ...evaluation, answers, confusion, rejected, manifest };
}

function Result({ project, evaluation }) {
  const { accuracy, interval, sentence: told, latency_ms: latency, test_examples: tested } = project.metrics;
  return html`<section class="card result" aria-label="Result">
    <div class="figure"><span class="big">${accuracy === undefined ? "–" : percent(accuracy)}</span><span class="dim">right</span></div>
    <div>
      <p class="told">${sentence(told)}</p>
      ${interval && html`<div class="interval" role="img" aria-label=${`Likely between ${percent(interval[0])} and ${percent(interval[1])}`}>
        <span class="range" style=${{ left: `${100 * interval[0]}%`, width: `${100 * (interval[1] - interval[0])}%` }}></span>
        <span class="point" style=${{ left: `${100 * accuracy}%` }}></span></div>`}
      <p class="dim">${tested ? `Asked about ${many(tested, "example")} it had never seen. ` : ""}${latency ? `One answer takes ${latency.toFixed(1)} ms. ` : ""}${evaluation
        ? `${bytes(evaluation.bundle_size_bytes)} of model.${evaluation.rejected ? ` ${many(evaluation.rejected, "of them", "of them")} would be answered with “none of these”.` : ""}` : ""}</p>
    </div>
  </section>`;
}

function PerClass({ evaluation }) {
  const entries = evaluation.classes.map((name, index) => {
    const all = evaluation.confusion[index].reduce((sum, n) => sum + n, 0);
    const right = evaluation.confusion[index][index];
    return { name, index, value: all ? right / all : 0, note: `${right} of ${all}` };
  });
  return html`<${Bars} entries=${entries} label="Right answers of each class" />`;
}

function Cell({ project, evaluation, cell, onClose, again }) {
  const [truth, predicted] = cell;
  const found = evaluation.answers.filter((one) => one.truth === truth && one.predicted === predicted);
  const names = evaluation.classes;
  return html`<header class="cell-head"><h2>${truth === predicted ? html`${names[truth]}, answered rightly` : html`${names[truth]}, taken for ${names[predicted]}`}</h2>
      <button class="icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button></header>
    <${Examples} key=${cell.join()} project=${project} evaluation=${evaluation} found=${found} again=${again} />`;
}

function Wrong({ project, evaluation, again }) {
  const found = useMemo(
    () => evaluation.answers.filter((one) => one.truth !== one.predicted).sort((a, b) => b.confidence - a.confidence),
    [evaluation],
  );
  if (!found.length) return html`<p class="dim">None of the test examples was answered wrongly.</p>`;
  return html`<p class="dim">The surest first. If a label is wrong, say what is right; the next training learns it.</p>
    <${Examples} project=${project} evaluation=${evaluation} found=${found} again=${again} />`;
}

const REASONS = {
  unreadable: "Cannot be opened",
  "wrong-content": "Changed on the way",
  missing: "Never arrived",
  "too-small": "Too small",
  "too-large": "Too large",
  "odd-shape": "Of an odd shape",
  duplicate: "The same picture twice",
  conflict: "The same under two labels",
  leak: "A copy of a training example among the test examples",
  "outlier-size": "Of an unusual size",
  empty: "Empty",
  "too-long": "Too long",
  "unknown-class": "Of an unknown class",
  "near-duplicate": "Nearly the same",
};

function DataProblems({ project, evaluation }) {
  const { report } = project;
  if (!report || !report.examples) return null;
  const labels = report.labels || {};
  const isClean = !report.set_aside?.length && !report.mixed_label_groups && !labels.found && !report.near_duplicate_groups;
  return html`<section class="card" aria-label="Data">
    <h2>The data</h2>
    <p class="dim">${number(report.usable)} of ${many(report.examples, "example")} are used.</p>
    <div class="scroll"><table class="plain"><thead><tr><th scope="col">Class</th><th scope="col">to learn</th><th scope="col">to choose</th><th scope="col">to test</th><th scope="col">set aside</th></tr></thead>
      <tbody>${report.classes.map((one, index) => html`<tr key=${one.name}><th scope="row"><span class="dot" style=${{ "--hue": hue(index) }}></span>${one.name}</th>
        <td>${one.train}</td><td>${one.validation}</td><td>${one.test}</td><td>${one.set_aside || "–"}</td></tr>`)}</tbody></table></div>
    ${isClean && html`<p class="ok"><${Icon} name="tick" /> No duplicates, no contradictions, nothing unreadable.</p>`}
    ${(report.set_aside || []).map((one) => html`<details class="finding" key=${one.reason}><summary>${REASONS[one.reason] || one.reason}: ${many(one.count, "example")} set aside</summary>
      <${SetAside} project=${project} evaluation=${evaluation} finding=${one} /></details>`)}
    ${report.mixed_label_groups > 0 && html`<p class="finding warn"><${Icon} name="warn" /> ${many(report.mixed_label_groups, "group")} of nearly the same examples under different labels.</p>`}
    ${report.near_duplicate_groups > 0 && html`<p class="finding"><${Icon} name="copy" /> ${many(report.near_duplicate_groups, "group")} of nearly the same examples; each was kept on one side of the test.</p>`}
    ${labels.found > 0 && html`<details class="finding" open><summary>${many(labels.found, "label")} of ${number(labels.examined)} may be wrong</summary>
      <ul>${labels.first.map((one) => html`<li><span class="clip">${one.text || one.name}</span>: given as <strong>${one.given}</strong>, looks like <strong>${one.likelier}</strong> (${percent(one.likelier_probability)})</li>`)}</ul></details>`}
  </section>`;
}

// All of them where the manifest is at hand, with their pictures; else the few that the summary names.
function SetAside({ project, evaluation, finding }) {
  const all = evaluation?.manifest.examples.filter((one) => !one.split && one.flags?.[0] === finding.reason) || [];
  if (project.kind === "text" || !all.length) {
    return html`<ul>${finding.files.map((name) => html`<li>${name}</li>`)}</ul>${finding.note && html`<p class="dim">${sentence(finding.note)}</p>`}`;
  }
  const found = all.map((one) => ({ sha256: one.sha256, name: one.source, truth: one.class_index, note: one.note }));
  return html`<${Examples} project=${project} evaluation=${evaluation} found=${found} isPlain=${true} />`;
}

function Versions({ project, again }) {
  const [ask, dialog] = useConfirm();
  const [error, setError] = useState(null);
  const rollBack = async (version) => {
    const text = "It answers again within a second. Nothing is lost: you can come back the same way.";
    if (!(await ask({ title: "Let this version answer again?", action: "Roll back", text }))) return;
    try {
      await call("POST", projectPath(project.project, "rollback"), { model_version: version.model_version });
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    again();
  };
  if (!project.versions.length) return null;
  return html`<section class="card" aria-label="Versions">
    <h2>Versions</h2>
    <${Problem} error=${error} />
    <ol class="versions">${project.versions.map((one) => {
      const isLive = one.model_version === project.model_version;
      return html`<li key=${one.model_version} class=${isLive ? "live" : ""}>
        <div><code>${one.model_version}</code> ${isLive && html`<span class="chip good">live</span>`}
          <p>${percent(one.accuracy, 1)} right; ${one.reason}</p><p class="dim">${when(one.promoted_at)}, by ${one.promoted_by}</p></div>
        ${!isLive && html`<button class="quiet small" onClick=${() => rollBack(one)}><${Icon} name="turn" />Roll back to this</button>`}
      </li>`;
    })}</ol>
    <details class="finding"><summary>What was live when</summary>
      <ol class="history">${project.releases.map((one) => html`<li key=${one.at + one.event}><span class="dim">${when(one.at)}</span> ${one.event}: <code>${one.model_version}</code>, ${one.reason} <span class="dim">(${one.by})</span></li>`)}</ol></details>
    ${dialog}
  </section>`;
}

function Reports({ project }) {
  const [links, setLinks] = useState(null);
  useEffect(() => {
    if (!project.dataset_version) return;
    call("GET", projectPath(project.project, "report")).then(setLinks, () => setLinks(null));
  }, [project.project, project.dataset_version, project.model_version]);
  if (!links) return null;
  return html`<p class="links">
    <a href=${links.url} target="_blank" rel="noopener noreferrer">Full report on the data</a>
    ${links.model && html`<a href=${links.model.url} target="_blank" rel="noopener noreferrer">Full report on the model</a>`}</p>`;
}
