// Deleting a project, and the receipt for it.

import { call, pause, projectPath } from "./api.js";
import { Problem, html, number, useConfirm, useEffect, useRef, useState, when } from "./elements.js";

export function Deletion({ project }) {
  const [ask, dialog] = useConfirm();
  const [receipt, setReceipt] = useState(null);
  const [error, setError] = useState(null);
  const isOver = useRef(false);
  useEffect(() => () => {
    isOver.current = true;
  }, []);
  const remove = async () => {
    const text = "Its examples, models, endpoint, key and logs go, and cannot be brought back.";
    if (!(await ask({ title: `Delete ${project.project}?`, action: "Delete for good", text, typed: project.project }))) return;
    try {
      let found = await call("DELETE", projectPath(project.project));
      setReceipt(found);
      while (!found.is_done && !isOver.current) {
        await pause(1_000);
        found = await call("GET", `v1/receipts/${encodeURIComponent(found.receipt_id)}`);
        setReceipt(found);
        if (found.failure?.message) throw Object.assign(new Error(found.failure.message), found.failure);
      }
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<section class="card danger-zone" aria-label="Delete">
    <h2>Delete this project</h2>
    ${receipt
      ? html`<${Receipt} receipt=${receipt} />`
      : html`<p class="dim">Everything that belongs to it goes, and you get a receipt with counts.</p><button class="danger" onClick=${remove}>Delete project</button>`}
    <${Problem} error=${error} onRetry=${error ? remove : null} /> ${dialog}
  </section>`;
}

function Receipt({ receipt }) {
  return html`<div class="receipt" role="status">
    ${receipt.is_done
      ? html`<p><strong>Gone.</strong> ${when(receipt.finished_at)}, receipt <code>${receipt.receipt_id}</code></p>`
      : html`<progress max="1" value=${receipt.progress} aria-label="Deletion"></progress><p>${receipt.message}</p>`}
    <ul class="plain-list">${Object.entries(receipt.counts).map(([what, count]) => html`<li>${number(count)} ${what.replaceAll("_", " ")}</li>`)}</ul>
    ${receipt.stays?.length > 0 && html`<p class="dim">What stays elsewhere: ${receipt.stays.join("; ")}.</p>`}
    ${receipt.is_done && html`<a class="button" href="#/">All projects</a>`}
  </div>`;
}
