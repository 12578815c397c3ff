// Train: why it cannot work yet, or what it will take.

import { Advanced } from "./advanced.js";
import { call, projectPath } from "./api.js";
import { Icon, Problem, duration, html, many, money, sentence, useEffect, useState } from "./elements.js";
import { Outcome } from "./outcome.js";
import { Run } from "./run.js";
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
