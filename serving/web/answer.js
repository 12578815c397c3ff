// An answer: bars for all classes, what speaks for it, and a tick or a cross.

import { call, projectPath } from "./api.js";
import { Bars, Icon, Problem, html, many, percent, useEffect, useState } from "./elements.js";
import { HeatMap } from "./heat-map.js";

export function Answer({ project, found, isBusy, onExplain, isSmall }) {
  const names = Object.keys(found.probabilities);
  const order = (name) => {
    const index = project.classes.indexOf(name);
    return index < 0 ? names.indexOf(name) : index;
  };
  const shown = names.map((name) => ({ name, value: found.probabilities[name], index: order(name), isAnswer: name === found.label }));
  // In the order of the classes, so that bars move and do not jump; of many, the likeliest.
  const entries = shown.length > 8 ? shown.sort((a, b) => b.value - a.value).slice(0, 8) : shown.sort((a, b) => a.index - b.index);
  const top = Math.max(...Object.values(found.probabilities));
  return html`<div class=${`answered ${isBusy && !found.isLive ? "busy" : ""} ${isSmall || !found.url ? "" : "wide"}`}>
    ${found.url && html`<div class="asked">${found.explanation
      ? html`<${HeatMap} url=${found.url} explanation=${found.explanation} />`
      : html`<img src=${found.url} alt="The picture asked about" />`}</div>`}
    <div class="answer-body"><p class="verdict" aria-live=${found.isLive ? "off" : "polite"}>${found.label === null
      ? html`<strong>None of these</strong> <span class="dim">it looks like nothing it has learnt</span>`
      : html`<strong>${found.label}</strong> <span class="dim">${percent(top)} sure</span>`}</p>
    <${Bars} entries=${entries} label="Probabilities" />
    ${found.explanation && html`<${Because} explanation=${found.explanation} text=${found.question.text} />`}
    ${!found.isLive && html`<div class="actions answer-actions">
      ${!found.explanation && onExplain && html`<button type="button" class="quiet small" onClick=${onExplain} disabled=${isBusy}><${Icon} name="spark" />Why?</button>`}
      <${Feedback} key=${JSON.stringify(found.question).slice(-200)} project=${project} found=${found} />
    </div>`}
    ${!isSmall && html`<p class="dim">Version <code>${found.model_version}</code>, request <code>${found.request_id}</code></p>`}
    </div>
  </div>`;
}

function Because({ explanation, text }) {
  const drop = `Without it, “${explanation.class}” would fall from ${percent(explanation.probability)} to ${percent(explanation.probability_without)}.`;
  if (!explanation.words) return html`<p class="dim">Bright is what speaks for “${explanation.class}”. ${drop}</p>`;
  return html`<p class="weighed">${weighed(text, explanation.words)}</p><p class="dim">${drop}</p>`;
}

// Positions are in characters, of which a string of JavaScript may need two places.
function weighed(text, words) {
  const characters = [...text];
  const parts = [];
  let at = 0;
  for (const word of [...words].sort((a, b) => a.start - b.start)) {
    if (word.start < at) continue;
    parts.push(characters.slice(at, word.start).join(""));
    const kind = word.weight >= 0 ? "for" : "against";
    parts.push(html`<mark class=${kind} style=${{ "--weight": Math.abs(word.weight) }}>${characters.slice(word.start, word.end).join("")}</mark>`);
    at = word.end;
  }
  parts.push(characters.slice(at).join(""));
  return parts;
}

function Feedback({ project, found }) {
  const [state, setState] = useState({});
  useEffect(() => setState({}), [found.request_id]);
  const give = async (label) => {
    setState({ isBusy: true });
    const example = found.question.text === undefined ? { image_base64: found.question.image_base64 } : { text: found.question.text };
    const told = { label, ...example, model_version: found.model_version };
    if (found.label) told.answered = found.label;
    try {
      setState({ given: await call("POST", projectPath(project.project, "feedback"), told), label });
    } catch (error) {
      setState({ error });
    }
  };
  if (state.error) return html`<${Problem} error=${state.error} />`;
  if (state.given) {
    return html`<span class="thanks" role="status"><${Icon} name="tick" /> Kept as “${state.label}”.${" "}
      ${state.given.training ? "It is learning anew." : html`<a href=${`#/${project.project}/train`}>Retrain with ${many(state.given.new, "new example")}</a>`}</span>`;
  }
  return html`<span class="verdicts" role="group" aria-label="Is that right?">
    ${found.label !== null && html`<button type="button" class="quiet small" disabled=${state.isBusy} onClick=${() => give(found.label)} aria-label="Right" title="That is right"><${Icon} name="tick" /></button>`}
    <button type="button" class="quiet small" aria-expanded=${Boolean(state.isWrong)} onClick=${() => setState({ isWrong: !state.isWrong })} aria-label="Wrong" title="That is wrong"><${Icon} name="cross" /></button>
    ${state.isWrong && html`<select aria-label="What it really is" value="" onChange=${(event) => give(event.target.value)}>
      <option value="">It is …</option>
      ${project.classes.filter((name) => name !== found.label).map((name) => html`<option value=${name}>${name}</option>`)}
    </select>`}
  </span>`;
}
