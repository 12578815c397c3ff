// A training under way: its stages, its curve, what is left of it, and stopping it.

import { call, projectPath } from "./api.js";
import { Curve } from "./curve.js";
import { Icon, Problem, duration, html, percent, sentence, useConfirm, useState } from "./elements.js";
import { RunLinks } from "./run-links.js";

const STAGES = [
  ["ingest", "Check the files"],
  ["prepare", "Look at the examples"],
  ["draft", "Make a draft"],
  ["promote-draft", "Put the draft live"],
  ["train", "Fine-tune"],
  ["promote", "Compare and release"],
];

export function Run({ project, job, again, account }) {
  const [ask, dialog] = useConfirm();
  const [problem, setProblem] = useState(null);
  const at = STAGES.findIndex(([id]) => id === job.stage);
  const cancel = async () => {
    const text = project.model_version ? "What answers now goes on answering." : "The examples stay.";
    if (!(await ask({ title: "Stop this training?", action: "Stop training", text }))) return;
    try {
      await call("DELETE", projectPath(project.project, "jobs", job.job_id));
    } catch (found) {
      setProblem(found);
    }
    again();
  };
  const epochs = job.metrics.epochs || [];
  return html`<div class="run">
    <div class="overall">
      <progress max="1" value=${job.progress} aria-label="Training"></progress>
      <span class="value">${percent(job.progress)}</span>
    </div>
    <p aria-live="polite" class="said">${sentence(job.message)}</p>
    <p class="dim">${remaining(job)}</p>
    <ol class="stages">
      ${STAGES.map(([id, title], index) => html`<li key=${id} class=${index < at ? "past" : index === at ? "now" : ""} aria-current=${index === at ? "step" : null}>
        <span class="mark">${index < at && html`<${Icon} name="tick" />`}</span>${title}
        ${job.stage_seconds[id] !== undefined && html`<span class="dim">${job.stage_seconds[id].toFixed(1)} s</span>`}</li>`)}
    </ol>
    ${job.endpoint && html`<div class="note good"><p><${Icon} name="spark" /> The draft answers already: try it while it gets better.</p></div>`}
    ${epochs.length > 1 && html`<${Curve} epochs=${epochs} />`}
    ${job.approval?.state === "waiting" && html`<${Approval} project=${project} job=${job} again=${again} />`}
    <${Problem} error=${problem} />
    <div class="actions">
      <${RunLinks} job=${job} account=${account} />
      <button class="quiet small" onClick=${cancel}>Cancel</button>
    </div>
    ${dialog}
  </div>`;
}

function remaining(job) {
  const spent = Date.now() / 1000 - job.created_at;
  const expected = job.estimate?.seconds;
  if (job.state === "queued") return "Waiting for a worker.";
  if (!expected) return "";
  // Early on the estimate is the better guess, later the pace.
  const paced = job.progress > 0.05 ? spent / job.progress : expected;
  const left = Math.max(0, (1 - job.progress) * expected + job.progress * paced - spent);
  return left < 3 ? "Nearly done." : `About ${duration(left)} left.`;
}

function Approval({ project, job, again }) {
  const [note, setNote] = useState("");
  const [error, setError] = useState(null);
  const say = async (approve) => {
    try {
      await call("POST", projectPath(project.project, "jobs", job.job_id, "approval"), { approve, note });
      again();
    } catch (found) {
      setError(found);
    }
  };
  return html`<div class="note warn">
    <p><strong>Shall this model be released?</strong> ${sentence(job.approval.reason)}</p>
    <label class="field">A note for the record <input value=${note} maxlength="500" onInput=${(event) => setNote(event.target.value)} /></label>
    <div class="actions"><button class="quiet" onClick=${() => say(false)}>Refuse</button><button class="primary" onClick=${() => say(true)}>Release</button></div>
    <${Problem} error=${error} />
  </div>`;
}
