// One project at its permanent address: its parts, and what all of them know of it.

import { ApiError, call, projectPath } from "./api.js";
import { Icon, Problem, html, percent, usePolled, useEffect, useRef } from "./elements.js";
import { DetailsPart } from "./details.js";
import { EndpointPart } from "./endpoint.js";
import { InferencePart } from "./inference.js";
import { TrainPart } from "./train-part.js";

const PARTS = [
  ["train", "Train", TrainPart],
  ["details", "Fetch details", DetailsPart],
  ["inference", "Inference", InferencePart],
  ["endpoint", "Endpoint", EndpointPart],
];
const RUNNING_MS = 1_000;
const RESTING_MS = 8_000;

export function ProjectPage({ name, part, account }) {
  const [isRunning, project, job, error, again] = useProject(name);
  const heading = useRef(null);
  const shown = PARTS.find(([id]) => id === part) || PARTS[0];
  const seen = useRef(part);
  useEffect(() => {
    if (seen.current !== part) heading.current?.focus();
    seen.current = part;
  }, [part]);
  if (error && !project) {
    return html`<section class="page"><${Problem} error=${error.status === 404 ? absent(name) : error} onRetry=${again}>
      <p><a href="#/">All projects</a></p>
    <//></section>`;
  }
  if (!project) return html`<p class="loading">Loading …</p>`;
  const Part = shown[2];
  return html`
    <div class="project-head">
      <a class="icon" href="#/" aria-label="All projects"><${Icon} name="back" /></a>
      <h1 ref=${heading} tabindex="-1">${name}</h1>
      <${Standing} project=${project} job=${job} isRunning=${isRunning} />
    </div>
    <nav class="parts" aria-label="Parts of the project">
      ${PARTS.map(([id, title]) => html`<a key=${id} href=${`#/${name}/${id}`}
        aria-current=${id === shown[0] ? "page" : null}>${title}</a>`)}
    </nav>
    ${error && html`<p class="note warn" role="status">No connection at the moment; what you see may be old.</p>`}
    <${Part} project=${project} job=${job} isRunning=${isRunning} again=${again} account=${account} />`;
}

function Standing({ project, job, isRunning }) {
  const { accuracy } = project.metrics;
  return html`<span class="standing">
    ${project.model_version
      ? html`<span class="chip good">live${accuracy !== undefined ? `, ${percent(accuracy)} right` : ""}</span>`
      : html`<span class="chip">not trained yet</span>`}
    ${isRunning && html`<span class="chip busy">training ${percent(job?.progress || 0)}</span>`}
  </span>`;
}

function absent(name) {
  return new ApiError(404, {
    message: `you have no project called ${name}`,
    fix: "it may have been deleted, or belongs to another sign-in",
  });
}

// The project as the server has it, with its newest job; looked at often only while that runs.
function useProject(name) {
  const running = useRef(false);
  const [found, error, again] = usePolled(
    async (signal) => {
      const project = await call("GET", projectPath(name), undefined, { signal, patient: false });
      const newest = project.jobs[0];
      const job = newest && (await call("GET", projectPath(name, "jobs", newest.job_id), undefined, { signal, patient: false }));
      running.current = Boolean(job) && !isFinal(job);
      return { project, job };
    },
    () => (running.current ? RUNNING_MS : RESTING_MS),
    [name],
  );
  return [running.current, found?.project, found?.job, error, again];
}

export const isFinal = (job) => ["done", "failed", "cancelled"].includes(job.state);
