// How much the endpoint is used, how fast it is and what it costs.

import { call, projectPath } from "./api.js";
import { Problem, html, many, number, usePolled } from "./elements.js";

export function Usage({ project }) {
  const [found, error] = usePolled(() => call("GET", `${projectPath(project.project, "usage")}?days=30`), 20_000, [project.project]);
  if (!found) return html`<${Problem} error=${error} />`;
  const { total } = found;
  const month = found.months.at(-1);
  const ms = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
  return html`<section class="card" aria-label="Usage">
    <h2>Last 30 days</h2>
    <dl class="figures">
      <div><dt>Requests</dt><dd>${number(total.requests)}</dd></div>
      <div><dt>Half take at most</dt><dd>${ms(total.p50_ms)}</dd></div>
      <div><dt>95 of 100 take at most</dt><dd>${ms(total.p95_ms)}</dd></div>
      <div><dt>Failed</dt><dd>${number(total.failed)}</dd></div>
      <div><dt>Cost this month</dt><dd>${month ? `$${month.dollars.toFixed(month.dollars < 0.1 ? 4 : 2)}` : "–"}</dd></div>
    </dl>
    <${Days} days=${found.days} />
    <p class="dim">Cost by AWS list prices of ${found.prices_as_of}; on your own computer nothing is billed.</p>
    ${found.drift && html`<p class=${found.drift.is_drifting ? "note warn" : "dim"}>${found.drift.reason}</p>`}
  </section>`;
}

function Days({ days }) {
  if (days.length < 2) return null;
  const most = Math.max(1, ...days.map((day) => day.requests));
  return html`<ul class="days" aria-label="Requests by day">${days.map((day) => html`<li key=${day.day} title=${`${day.day}: ${many(day.requests, "request")}`}>
    <span style=${{ height: `${(100 * day.requests) / most}%` }}></span><span class="hidden">${day.day}: ${many(day.requests, "request")}</span></li>`)}</ul>`;
}
