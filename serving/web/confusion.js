// The confusion matrix; its cells are buttons that open the examples behind them.

import { html, number } from "./elements.js";

const MOST = 25;

export function Confusion({ evaluation, opened, onOpen }) {
  const { confusion, classes } = evaluation;
  if (classes.length > MOST) return html`<${Pairs} evaluation=${evaluation} onOpen=${onOpen} />`;
  const most = Math.max(1, ...confusion.flat());
  return html`<div class="scroll"><table class="confusion">
    <thead><tr><th></th>${classes.map((name) => html`<th scope="col"><span>${name}</span></th>`)}</tr></thead>
    <tbody>${classes.map((name, truth) => html`<tr><th scope="row">${name}</th>
      ${classes.map((answer, predicted) => {
        const count = confusion[truth][predicted];
        const kind = truth === predicted ? "right" : "wrong";
        const isOpen = opened?.[0] === truth && opened?.[1] === predicted;
        return html`<td>${count
          ? html`<button class=${`cell ${kind}`} style=${{ "--share": 0.12 + 0.88 * (count / most) }} aria-pressed=${isOpen}
              aria-label=${`${count} of ${name} answered with ${answer}`} onClick=${() => onOpen(isOpen ? null : [truth, predicted])}>${number(count)}</button>`
          : html`<span class="zero">·</span>`}</td>`;
      })}</tr>`)}</tbody>
  </table></div>`;
}

// So many classes fit in no table: the pairs that are mixed up most.
function Pairs({ evaluation, onOpen }) {
  const { confusion, classes } = evaluation;
  const pairs = confusion
    .flatMap((row, truth) => row.map((count, predicted) => ({ truth, predicted, count })))
    .filter(({ truth, predicted, count }) => truth !== predicted && count)
    .sort((a, b) => b.count - a.count)
    .slice(0, 40);
  return html`<ul class="pairs">${pairs.map(({ truth, predicted, count }) => html`<li><button class="quiet small" onClick=${() => onOpen([truth, predicted])}>
    ${count} × ${classes[truth]} → ${classes[predicted]}</button></li>`)}</ul>`;
}
