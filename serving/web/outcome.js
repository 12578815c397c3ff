// How the newest training ended, and why.

import { duration, html, money, sentence } from "./elements.js";
import { isFinal } from "./project.js";
import { RunLinks } from "./run-links.js";

export function Outcome({ project, job, account }) {
  if (!isFinal(job)) return null;
  if (job.state === "failed") {
    return html`<div class="note bad" role="alert">
      <p><strong>The training failed.</strong> ${sentence(job.failure.message || job.message)}</p>
      ${job.failure.details?.length > 0 && html`<ul>${job.failure.details.slice(0, 10).map((line) => html`<li>${sentence(line)}</li>`)}</ul>`}
      ${job.failure.fix && html`<p>What helps: ${job.failure.fix}.</p>`}
      ${project.model_version && html`<p class="dim">What was live before goes on answering.</p>`}
      <${RunLinks} job=${job} account=${account} />
    </div>`;
  }
  if (job.state === "cancelled") return html`<p class="note">The last training was cancelled${project.model_version ? "; what was live stays so" : ""}.</p>`;
  const told = job.metrics.sentence || project.metrics.sentence;
  const seconds = Object.values(job.stage_seconds).reduce((sum, one) => sum + one, 0);
  const isKept = job.decision?.promote === false;
  return html`<div class="note good" role="status">
    <p><strong>Ready.</strong> ${sentence(told)}</p>
    ${isKept && html`<p>The last step brought nothing that is clearly better, so what was live before goes on answering.</p>`}
    <p class="dim">It took ${duration(seconds)}${job.dollars ? ` and ${money(job.dollars)}` : ""}${job.draft_seconds ? `; the first answer came after ${duration(job.draft_seconds)}` : ""}.</p>
    ${job.decision?.reason && html`<details><summary>How that was decided</summary><p class="dim">${sentence(job.decision.reason)}</p></details>`}
    <p><a href=${`#/${project.project}/details`}>See how good it is</a></p>
    <details><summary>For engineers</summary><p class="dim">Model <code>${job.model}</code>, recipe <code>${job.recipe.slice(0, 200)}</code>, version <code>${job.model_version}</code></p>
      <${RunLinks} job=${job} account=${account} /></details>
  </div>`;
}
