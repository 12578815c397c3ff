// Train: why it cannot work yet or what it will take, then how far it is, and how it ended.

import { call, projectPath } from "./api.js";
import { Curve } from "./curve.js";
import { Icon, Problem, duration, html, many, money, percent, sentence, useConfirm, useEffect, useRef, useState } from "./elements.js";
import { isFinal } from "./project.js";
import { UPLOAD } from "./uploads.js";

const SETTLE_MS = 400;

export function Training({ project, job, isRunning, again, collection, isUploading, account, check, error, options, setOptions }) {
  const [problem, setProblem] = useState(null);
  const [isAsked, setAsked] = useState(false);
  const start = async () => {
    setAsked(true);
    setProblem(null);
    try {
      const anew = check?.trained ? { again: true } : {};
      await call("POST", projectPath(project.project, "train"), { ...requested(collection, options), ...anew });
      await again();
    } catch (found) {
      setProblem(found);
    }
    setAsked(false);
  };
  useEffect(() => {
    if (isRunning) setAsked(false);
  }, [isRunning]);
  const isReady = check?.can_train && !isUploading && !isAsked;
  return html`<section class="card training" aria-label="Training">
    <h2>Train</h2>
    ${isRunning
      ? html`<${Run} project=${project} job=${job} again=${again} account=${account} />`
      : html`
          ${job && html`<${Outcome} project=${project} job=${job} account=${account} />`}
          <button class="primary large" disabled=${!isReady} onClick=${start} aria-describedby="train-why">
            ${isAsked ? "Starting …" : project.model_version || job ? "Train again" : "Train"}</button>
          <div id="train-why" class="why" aria-live="polite"><${Why} check=${check} isUploading=${isUploading} collection=${collection} project=${project}
            setOptions=${setOptions} options=${options} /></div>
          <${Problem} error=${problem || error} onRetry=${problem ? start : null} />
          <${Advanced} project=${project} options=${options} setOptions=${setOptions} />`}
  </section>`;
}

function requested(collection, options) {
  const upload = collection?.upload || UPLOAD;
  return { upload, ...options };
}

// Asked again whenever the examples have changed and nothing is on its way.
export function useCheck(project, collection, options, isWaiting, state) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const stamp = JSON.stringify([collection?.upload, collection?.classes, collection?.missing_total, options, project.classes, isWaiting, state]);
  useEffect(() => {
    if (!collection || isWaiting) return undefined;
    if (!collection.upload || !collection.total) {
      setFound({ can_train: false, isEmpty: true });
      return undefined;
    }
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const body = { ...requested(collection, options), check_only: true };
        setFound(await call("POST", projectPath(project.project, "train"), body, { signal: controller.signal }));
        setError(null);
      } catch (problem) {
        if (problem.name !== "AbortError") {
          setError(problem);
          setFound(null);
        }
      }
    }, SETTLE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [stamp]);
  return [found, error];
}

function Why({ check, isUploading, collection, project, options, setOptions }) {
  if (isUploading) return html`<p>Waiting until all files are stored.</p>`;
  if (!check || !collection) return html`<p class="dim">Looking at the examples …</p>`;
  if (check.isEmpty) {
    const { min_per_class: least, min_rows_per_class: rows } = project.limits;
    return html`<p>${project.kind === "text"
      ? `Add a table with texts and labels first: at least ${rows} rows for each class, or fewer with a smaller number under Advanced.`
      : `Add pictures first: at least ${least} for each class.`}</p>`;
  }
  if (!check.can_train) {
    const { problem } = check;
    const lines = problem.details?.length ? problem.details : [problem.message];
    return html`<ul class="missing">${lines.slice(0, 8).map((line) => html`<li>${sentence(line)}</li>`)}</ul>
      ${problem.fix && html`<p class="dim">${sentence(problem.fix)}</p>`}
      <${FewOffer} project=${project} problem=${problem} options=${options} setOptions=${setOptions} />`;
  }
  const { estimate } = check;
  return html`${check.trained && html`<p class="dim">Exactly these examples have been learnt already, in this way.</p>`}<p><${Icon} name="alarm" /> About <strong>${duration(estimate.seconds)}</strong>${estimate.machine ? ` on ${estimate.machine}` : ""}, ${money(estimate.dollars)}.
    A first draft answers much sooner.</p>
    ${check.feedback?.new > 0 && html`<p class="dim">${many(check.feedback.new, "corrected example")} will be learnt from as well.</p>`}`;
}

function FewOffer({ project, problem, options, setOptions }) {
  const fewest = project.limits.fewest_per_class;
  const isAboutCounts = problem.code === "data_problem" && /needs? \d/.test([problem.message, ...(problem.details || [])].join(" "));
  if (!isAboutCounts || options.min_per_class) return null;
  return html`<button class="quiet small" onClick=${() => setOptions({ ...options, min_per_class: fewest })}>Try with ${fewest} for each class</button>
    <span class="dim"> – possible, but less sure</span>`;
}

const STAGES = [
  ["ingest", "Check the files"],
  ["prepare", "Look at the examples"],
  ["draft", "Make a draft"],
  ["promote-draft", "Put the draft live"],
  ["train", "Fine-tune"],
  ["promote", "Compare and release"],
];

function Run({ project, job, again, account }) {
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

function RunLinks({ job, account }) {
  const links = account?.links || {};
  const run = job.metrics.mlflow;
  return html`<span class="links">
    ${links.prefect && job.flow_run_id && html`<a href=${`${links.prefect}/runs/flow-run/${encodeURIComponent(job.flow_run_id)}`} target="_blank" rel="noopener noreferrer">Run in Prefect</a>`}
    ${links.mlflow && run && html`<a href=${`${links.mlflow}/#/experiments/${encodeURIComponent(run.experiment)}/runs/${encodeURIComponent(run.run)}`} target="_blank" rel="noopener noreferrer">Run in MLflow</a>`}
  </span>`;
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

function Outcome({ project, job, account }) {
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

const MODELS = {
  image: ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet18", "resnet50", "convnext_tiny", "cnn"],
  text: ["minilm_l6"],
};
const RECIPES = [["fast", "Fast"], ["balanced", "Balanced"], ["accurate", "Accurate"], ["scratch", "From scratch"]];

function Advanced({ project, options, setOptions }) {
  const set = (name, value) => {
    const changed = { ...options };
    if (value === "" || Number.isNaN(value)) delete changed[name];
    else changed[name] = value;
    setOptions(changed);
  };
  const least = project.kind === "text" ? project.limits.min_rows_per_class : project.limits.min_per_class;
  const timer = useRef(0);
  const later = (name, value) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(name, value), 400);
  };
  return html`<details class="advanced"><summary>Advanced</summary>
    <label class="field">Recipe
      <select value=${options.recipe || "balanced"} onChange=${(event) => set("recipe", event.target.value)}>
        ${RECIPES.map(([id, title]) => html`<option value=${id}>${title}</option>`)}
      </select></label>
    <label class="field">Model
      <input list="models" value=${options.model || ""} placeholder=${MODELS[project.kind][0]} spellcheck=${false}
        onInput=${(event) => later("model", event.target.value.trim())} />
      <datalist id="models">${MODELS[project.kind].map((name) => html`<option value=${name} />`)}</datalist>
      <span class="dim">or one of the Hugging Face hub: hf:owner/name</span></label>
    <label class="field">Time limit in minutes
      <input type="number" min="1" max="10080" value=${options.budget_seconds ? options.budget_seconds / 60 : ""} placeholder="60"
        onInput=${(event) => later("budget_seconds", Math.round(60 * event.target.valueAsNumber))} /></label>
    <label class="field">Least examples per class
      <input type="number" min=${project.limits.fewest_per_class} max="10000" value=${options.min_per_class || ""} placeholder=${least}
        onInput=${(event) => later("min_per_class", event.target.valueAsNumber)} /></label>
    <label class="field">Variants to try
      <input type="number" min="0" max="200" value=${options.tune || ""} placeholder="0" onInput=${(event) => later("tune", event.target.valueAsNumber)} />
      <span class="dim">more take longer and may find a better one</span></label>
  </details>`;
}
