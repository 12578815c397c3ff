// Fetch details: how good the live model is, where it errs, what is odd in the data, what was live when.

import { call, projectPath } from "./api.js";
import { Bars, Icon, Problem, bytes, html, many, percent, sentence, useEffect, useMemo, useState } from "./elements.js";
import { Confusion } from "./confusion.js";
import { DataProblems } from "./data-problems.js";
import { useEvaluation } from "./evaluation.js";
import { Examples } from "./example-wall.js";
import { Versions } from "./versions.js";

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
