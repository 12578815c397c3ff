// What was found in the data: set aside, doubled, contradicting, doubtful.

import { Icon, html, hue, many, number, percent, sentence } from "./elements.js";
import { Examples } from "./example-wall.js";

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

export function DataProblems({ project, evaluation }) {
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
