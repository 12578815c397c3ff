// How right the model was after each epoch, on the validation examples.

import { html, percent } from "./elements.js";

const WIDTH = 300;
const HEIGHT = 110;
const LEFT = 34;
const FOOT = 16;

export function Curve({ epochs }) {
  const total = Math.max(epochs.at(-1).epochs, 1);
  const values = epochs.map((one) => one.val_accuracy);
  const low = Math.max(0, Math.floor(10 * (Math.min(...values) - 0.02)) / 10);
  const x = (epoch) => LEFT + ((WIDTH - LEFT - 8) * epoch) / total;
  const y = (value) => 8 + (HEIGHT - FOOT - 8) * (1 - (value - low) / (1 - low || 1));
  const line = epochs.map((one) => `${x(one.epoch).toFixed(1)},${y(one.val_accuracy).toFixed(1)}`).join(" ");
  const last = epochs.at(-1);
  return html`<figure class="curve">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`Right on ${percent(last.val_accuracy, 1)} of the validation examples after epoch ${last.epoch} of ${total}`}>
      ${[low, (1 + low) / 2, 1].map((mark) => html`<g key=${mark}><line x1=${LEFT} x2=${WIDTH - 8} y1=${y(mark)} y2=${y(mark)} />
        <text x=${LEFT - 5} y=${y(mark) + 3} text-anchor="end">${Math.round(100 * mark)}</text></g>`)}
      <polyline points=${line} />
      ${epochs.map((one) => html`<circle key=${one.epoch} cx=${x(one.epoch)} cy=${y(one.val_accuracy)} r="2.5" />`)}
      <text x=${x(total)} y=${HEIGHT - 3} text-anchor="end">epoch ${last.epoch} of ${total}</text>
    </svg>
    <figcaption class="dim">Right on the validation examples, in %</figcaption>
  </figure>`;
}
