// Where engineers see more of a job.

import { html } from "./elements.js";

export function RunLinks({ job, account }) {
  const links = account?.links || {};
  const run = job.metrics.mlflow;
  return html`<span class="links">
    ${links.prefect && job.flow_run_id && html`<a href=${`${links.prefect}/runs/flow-run/${encodeURIComponent(job.flow_run_id)}`} target="_blank" rel="noopener noreferrer">Run in Prefect</a>`}
    ${links.mlflow && run && html`<a href=${`${links.mlflow}/#/experiments/${encodeURIComponent(run.experiment)}/runs/${encodeURIComponent(run.run)}`} target="_blank" rel="noopener noreferrer">Run in MLflow</a>`}
  </span>`;
}
